// SPDX-License-Identifier: Apache-2.0
// runtime/engine_queue.c - pending link events: a calendar queue (Brown, CACM 1988) with
// buckets of one cycle, one lap of QUEUE_BUCKETS cycles ahead; events further ahead wait in
// the bucket of their time modulo a lap. Events live in one pool and are linked by index.
// Push and take are O(1) plus the sorting of a cycle's events by stop.
#include <stdlib.h>
#include <string.h>

#include "runtime/engine_internal.h"

void queue_init(LinkQueue *q)
{
    memset(q, 0, sizeof *q);
    memset(q->bucket, 0xff, sizeof q->bucket);
    q->free_list = NONE;
}

void queue_free(LinkQueue *q)
{
    free(q->pool);
    free(q->batch);
}

static void *grow(void *p, uint32_t *cap, size_t size)
{
    uint32_t n = *cap ? *cap * 2 : 1024;
    p = n > *cap ? realloc(p, n * size) : NULL;
    if (!p)
        abort(); // as arenas do
    *cap = n;
    return p;
}

void queue_push(LinkQueue *q, uint64_t time, uint64_t tail, uint32_t stop, uint32_t words)
{
    if (q->free_list == NONE) {
        uint32_t from = q->cap;
        q->pool = grow(q->pool, &q->cap, sizeof *q->pool);
        for (uint32_t i = q->cap; i-- > from;) {
            q->pool[i].next = q->free_list;
            q->free_list = i;
        }
    }
    uint32_t id = q->free_list, b = (uint32_t)(time % QUEUE_BUCKETS);
    LinkEvent *e = &q->pool[id];
    q->free_list = e->next;
    *e = (LinkEvent){time, tail, stop, words, q->bucket[b]};
    q->bucket[b] = id;
    q->used[b / 64] |= (uint64_t)1 << b % 64;
    q->n++;
}

// Moves the events of cycle `now` from their bucket to the batch.
static void take(LinkQueue *q)
{
    uint32_t b = (uint32_t)(q->now % QUEUE_BUCKETS);
    uint32_t *link = &q->bucket[b];

    while (*link != NONE) {
        uint32_t id = *link;
        LinkEvent *e = &q->pool[id];
        if (e->time != q->now) {
            link = &e->next;
            continue;
        }
        if (q->n_batch == q->cap_batch)
            q->batch = grow(q->batch, &q->cap_batch, sizeof *q->batch);
        q->batch[q->n_batch++] = *e;
        *link = e->next;
        e->next = q->free_list;
        q->free_list = id;
        q->n--;
    }
    if (q->bucket[b] == NONE)
        q->used[b / 64] &= ~((uint64_t)1 << b % 64);
}

static void sort(LinkEvent *e, uint32_t n)
{
    static const uint32_t gaps[] = {1750, 701, 301, 132, 57, 23, 10, 4, 1}; // Ciura 2001
    for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++) {
        uint32_t gap = gaps[g];
        for (uint32_t i = gap; i < n; i++) {
            LinkEvent x = e[i];
            uint32_t k = i;
            for (; k >= gap && e[k - gap].stop > x.stop; k -= gap)
                e[k] = e[k - gap];
            e[k] = x;
        }
    }
}

// First bucket in use at or after b on this lap and the next; NONE if all are empty.
static uint32_t next_used(const LinkQueue *q, uint32_t b, uint32_t distance)
{
    for (; distance < QUEUE_BUCKETS; b = (b + 1) % QUEUE_BUCKETS, distance++) {
        uint64_t word = q->used[b / 64] >> b % 64;
        if (word & 1)
            return distance;
        if (word == 0) { // to the end of this word
            distance += 63 - b % 64;
            b |= 63;
        }
    }
    return NONE;
}

bool queue_next(LinkQueue *q)
{
    uint64_t least = UINT64_MAX;
    uint32_t start = (uint32_t)(q->now % QUEUE_BUCKETS);

    q->n_batch = 0;
    if (q->n == 0)
        return false;
    for (uint32_t d = 0; (d = next_used(q, (start + d) % QUEUE_BUCKETS, d)) != NONE; d++) {
        for (uint32_t id = q->bucket[(start + d) % QUEUE_BUCKETS]; id != NONE;
             id = q->pool[id].next)
            least = q->pool[id].time < least ? q->pool[id].time : least;
        if (least == q->now + d)
            break;
    }
    q->now = least;
    take(q);
    sort(q->batch, q->n_batch);
    return true;
}

void queue_more(LinkQueue *q, uint32_t first)
{
    take(q);
    sort(q->batch + first, q->n_batch - first);
}
