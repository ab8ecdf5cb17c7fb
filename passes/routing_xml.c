/* SPDX-License-Identifier: Apache-2.0 */
/* passes/routing_xml.c - the ways of all streams and the fullest links, as XML
 * (routing.xsd).
 *
 * Loads are those the router counts with, in words a sample, made anew from the plan, so
 * they hold for whatever plan is shown. A link may carry what the slowest kernel lets through
 * in its time. Cost: what is near every piece of a stream. */
#include <inttypes.h>
#include <stdlib.h>

#include "ir/support/io.h"
#include "passes/routing.h"
#include "passes/xml_write.h"

enum { FULLEST = 32 };

static const char *const sides[] = {"N", "E", "S", "W"};

static void box(xmlTextWriter *w, Box b)
{
    xml_put_number(w, "x", (uint64_t)b.x0);
    xml_put_number(w, "y", (uint64_t)b.y0);
    xml_put_number(w, "w", (uint64_t)(b.x1 - b.x0) + 1);
    xml_put_number(w, "h", (uint64_t)(b.y1 - b.y0) + 1);
}

static void write_stream(xmlTextWriter *w, Arena *a, Router *r, const Stream *s)
{
    xmlTextWriterStartElement(w, (const xmlChar *)"stream");
    xml_put_stream(w, a, s);
    xml_put_number(w, "segments", s->n_segments);
    xml_put_number(w, "hops", stream_hops(s));
    xml_put_number(w, "words", stream_words(s));
    const PieceVec *pieces = router_pieces(r, s);
    for (size_t i = 0; i < pieces->n; i++) {
        xmlTextWriterStartElement(w, (const xmlChar *)"piece");
        xml_put(w, "side", sides[pieces->data[i].side]);
        box(w, pieces->data[i].box);
        xmlTextWriterEndElement(w);
    }
    xmlTextWriterEndElement(w);
}

typedef struct Full {
    Box at;
    Side side;
    uint64_t words;
} Full;

/* The fullest links, one of every box that is taken, each place once. */
static unsigned fullest(Router *r, Full *list)
{
    unsigned n = 0;
    for (size_t i = 0; i < r->taken.n; i++) {
        const Taken *t = &r->taken.data[i];
        if (t->words == 0)
            continue;
        Full f = {.side = t->side};
        uint64_t stop = n == FULLEST ? list[n - 1].words : 0;
        f.words = router_most(r, t->box, t->side, -1, stop, &f.at);
        bool known = f.words <= stop;
        for (unsigned k = 0; k < n && !known; k++)
            known =
                list[k].side == f.side && list[k].words == f.words && box_meet(list[k].at, f.at);
        if (known)
            continue;
        unsigned at = n < FULLEST ? n++ : FULLEST - 1;
        for (; at > 0 && list[at - 1].words < f.words; at--)
            list[at] = list[at - 1];
        list[at] = f;
    }
    return n;
}

static void write_link(xmlTextWriter *w, Router *r, const Full *f, uint64_t capacity)
{
    xmlTextWriterStartElement(w, (const xmlChar *)"link");
    xml_put_number(w, "x", (uint64_t)f->at.x0);
    xml_put_number(w, "y", (uint64_t)f->at.y0);
    xml_put(w, "side", sides[f->side]);
    xml_put_number(w, "demand", f->words);
    xml_put_number(w, "capacity", capacity);
    Meet m = meet_begin(r, f->at);
    for (const Taken *t; (t = meet_next(&m)) != NULL;) {
        if (t->side != f->side || t->words == 0)
            continue;
        xmlTextWriterStartElement(w, (const xmlChar *)"user");
        if (t->stream >= 0)
            xml_put_number(w, "stream", (uint64_t)t->stream);
        xml_put_number(w, "words", t->words);
        xmlTextWriterEndElement(w);
    }
    xmlTextWriterEndElement(w);
}

static void write_all(xmlTextWriter *w, Arena *a, const Plan *p)
{
    Router *r = router_create(a, (Plan *)p, UINT64_MAX / 4);
    for (size_t i = 0; i < p->kernels.n; i++)
        router_add_kernel(r, p->kernels.data[i]);
    for (size_t i = 0; i < p->streams.n; i++)
        router_add_routed(r, p->streams.data[i]);
    for (size_t i = 0; i < p->streams.n; i++)
        write_stream(w, a, r, p->streams.data[i]);
    Full list[FULLEST];
    unsigned n = fullest(r, list);
    for (unsigned i = 0; i < n; i++)
        write_link(w, r, &list[i], plan_target(p));
}

bool routing_xml_write(Diag *d, const Plan *p, const char *path)
{
    Arena a = {0};
    XmlFile f;
    if (!xml_file_begin(&f, d, &a, "routing", p)) {
        arena_free(&a);
        return false;
    }
    xml_put_number(f.w, "colors", p->machine->colors - p->machine->reserved_colors);
    write_all(f.w, &a, p);
    bool good = xml_file_end(&f, d, "routing", path);
    arena_free(&a);
    return good;
}
