// SPDX-License-Identifier: Apache-2.0
// tests/check/test_check.c - the checker accepts good images, rejects each spoilt one by its
// own rule, and says what waits for what. Bytes: any change in a written image is noticed.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/liveness.h"
#include "tests/check/hand_images.h"
#include "tests/check/mutations.h"
#include "tests/check/test_soundness.h"
#include "tests/common/capture.h"
#include "tests/common/random_image.h"
#include "tests/common/suite.h"

// The messages of a check: empty if the image is accepted. Free with free().
static char *check(const Image *image)
{
    Capture c;
    Fabric f;
    capture_begin(&c);
    bool good = check_image(&c.arena, &c.diag, image, &f);
    CU_ASSERT_EQUAL(good, c.diag.n_errors == 0);
    return capture_take(&c);
}

static bool first_tag_is(const char *text, const char *tag)
{
    static const char start[] = "test: error: ";
    size_t n = strlen(tag);
    return strncmp(text, start, sizeof start - 1) == 0 &&
           strncmp(text + sizeof start - 1, tag, n) == 0 && text[sizeof start - 1 + n] == ':';
}

static void test_good_images(void)
{
    Arena a = {0};
    Image (*const makers[])(Arena *) = {matvec_image, residual_image};
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        Image image = makers[i](&a);
        char *text = check(&image);
        CU_ASSERT_STRING_EQUAL(text, "");
        if (text[0])
            fprintf(stderr, "%s", text);
        free(text);
    }
    arena_free(&a);
}

static void test_mutations(void)
{
    bool seen[CHECK_COUNT] = {false};
    for (size_t i = 0; i < n_mutations; i++) {
        const Mutation *m = &mutations[i];
        Arena a = {0};
        Image image = m->make(&a);
        m->spoil(&image);
        char *text = check(&image);
        bool right = first_tag_is(text, check_info[m->rule].tag);
        CU_ASSERT_TRUE(right);
        if (!right)
            fprintf(stderr, "%s: expected %s, got: %s\n", m->name, check_info[m->rule].tag, text);
        seen[m->rule] = seen[m->rule] || right;
        free(text);
        arena_free(&a);
    }
    for (int r = 0; r < CHECK_COUNT; r++) {
        CU_ASSERT_TRUE(seen[r]);
        if (!seen[r])
            fprintf(stderr, "no mutation is rejected by %s\n", check_info[r].tag);
    }
}

static void test_rule_table(void)
{
    for (int i = 0; i < CHECK_COUNT; i++) {
        CU_ASSERT_TRUE(check_info[i].doc[0] != '\0');
        for (int j = 0; j < i; j++)
            CU_ASSERT_STRING_NOT_EQUAL(check_info[i].tag, check_info[j].tag);
    }
}

static void test_overflow_words(void)
{
    Arena a = {0};
    Image image = matvec_image(&a);
    image.cores[1].segments[MATVEC_SUM].bytes = 49153 - 4160;
    char *text = check(&image);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "core (3, 2) of 'fc1' (hand.dsl:7) needs 49,153 bytes"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "a core has 49,152"));
    free(text);
    arena_free(&a);
}

static void test_deadlock_words(void)
{
    Arena a = {0};
    Image image = residual_image(&a);
    image.cores[2].channels[1].slots = 1;
    image.cores[2].segments[3].bytes = 16;
    char *text = check(&image);
    static const char *const lines[] = {
        "core (1, 1) of 'fork' (hand.dsl:2) waits for room for a message of "
        "'fork -> pairs, join' (hand.dsl:2) at core (5, 1) of 'join' (hand.dsl:4)\n",
        "core (5, 1) of 'join' (hand.dsl:4) waits for a message of "
        "'pairs -> join' (hand.dsl:3) from core (3, 1) of 'pairs' (hand.dsl:3)\n",
        "core (3, 1) of 'pairs' (hand.dsl:3) waits for a message of "
        "'fork -> pairs, join' (hand.dsl:2) from core (1, 1) of 'fork' (hand.dsl:2)\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        CU_ASSERT_PTR_NOT_NULL(strstr(text, lines[i]));
    free(text);
    arena_free(&a);
}

static void test_wait_without_cycle(void)
{
    Arena a = {0};
    Image image = residual_image(&a);
    Diag d;
    Fabric f;
    diag_init(&d, "check");
    CU_ASSERT_TRUE_FATAL(fabric_build(&a, &d, &image, &f));
    LivenessWait waits[5] = {{WAIT_NONE, 0, 0}, {WAIT_MESSAGE, 0, 0}};
    Text t = {0};
    liveness_describe_wait(&t, &f, waits);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "core (1, 1) of 'fork' (hand.dsl:2) does not wait"));
    text_free(&t);
    diag_finish(&d);
    arena_free(&a);
}

// The tree of x: one branch a link, parents first, hops counted in routers.
static void test_routes(void)
{
    Arena a = {0};
    Image image = matvec_image(&a);
    Diag d;
    Fabric f;
    diag_init(&d, "check");
    CU_ASSERT_TRUE_FATAL(fabric_build(&a, &d, &image, &f));
    CU_ASSERT_EQUAL(f.n_cores, 6);
    CU_ASSERT_EQUAL(f.n_ports, 3);
    CU_ASSERT_EQUAL(f.n_routes, 7);
    for (uint32_t i = 0; i < f.n_cores; i++)
        CU_ASSERT_EQUAL(fabric_core_at(&f, f.nodes[i].x, f.nodes[i].y), i);
    CU_ASSERT_EQUAL(fabric_core_at(&f, 0, 0), UINT32_MAX);
    CU_ASSERT_EQUAL(fabric_core_at(&f, 8, 2), UINT32_MAX);
    const FabricRoute *x = &f.routes[f.nodes[f.n_cores].route[0]];
    CU_ASSERT_EQUAL(x->source, f.n_cores);
    CU_ASSERT_EQUAL(x->n_receivers, 6);
    CU_ASSERT_EQUAL(x->n_branches, 1 + 4 + 3 + 6); // port, row, down, ramps
    for (uint32_t i = 0; i < x->n_branches; i++) {
        CU_ASSERT_TRUE(i == 0 ? x->branches[i].parent == UINT32_MAX : x->branches[i].parent < i);
        const FabricLink *l = &f.links[x->branches[i].link];
        CU_ASSERT_EQUAL(x->branches[i].delay, l->side == SIDE_RAMP ? 2 : 1);
    }
    for (uint32_t i = 0; i < x->n_receivers; i++) {
        const FabricReceiver *r = &x->receivers[i];
        const FabricNode *n = &f.nodes[r->node];
        CU_ASSERT_EQUAL(r->hops, n->x + n->y - 2);
        CU_ASSERT_EQUAL(n->route[r->channel], f.nodes[f.n_cores].route[0]);
        CU_ASSERT_EQUAL(n->receiver[r->channel], i);
        const FabricLink *l = &f.links[x->branches[r->branch].link];
        CU_ASSERT_TRUE(l->x == n->x && l->y == n->y && l->side == SIDE_RAMP && !l->from_core);
    }
    diag_finish(&d);
    arena_free(&a);
}

static bool read_back(Bytes file, char **text)
{
    Capture c;
    Image image;
    capture_begin(&c);
    bool good = image_read(&c.arena, &c.diag, "x.wse", file, &image);
    *text = capture_take(&c);
    return good;
}

// Blocks of weights swapped in the file, then single bytes changed everywhere.
static void test_bytes(void)
{
    Arena a = {0};
    Image image = matvec_image(&a);
    Bytes file;
    image_write(&image, &file);
    char *text = NULL;
    CU_ASSERT_TRUE(read_back(file, &text));
    free(text);
    uint8_t *at = file.data;
    while (at + image.data_bytes <= file.data + file.len &&
           memcmp(at, image.data, image.data_bytes) != 0)
        at++;
    CU_ASSERT_TRUE_FATAL(at + image.data_bytes <= file.data + file.len);
    memcpy(at, image.data + 16, 16);
    memcpy(at + 16, image.data, 16);
    CU_ASSERT_FALSE(read_back(file, &text));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "digest"));
    free(text);
    memcpy(at, image.data, 32);
    for (size_t i = 0; i < file.len; i += 7) {
        file.data[i] ^= 0x20;
        CU_ASSERT_FALSE(read_back(file, &text));
        free(text);
        file.data[i] ^= 0x20;
    }
    bytes_free(&file);
    arena_free(&a);
}

static void test_random_images(void)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        Arena a = {0};
        Rng rng = {seed};
        Image image;
        CU_ASSERT_TRUE_FATAL(random_image(&a, &rng, &image));
        char *text = check(&image);
        CU_ASSERT_STRING_EQUAL(text, "");
        free(text);
        Bytes file;
        image_write(&image, &file);
        CU_ASSERT_TRUE(read_back(file, &text));
        CU_ASSERT_STRING_EQUAL(text, "");
        free(text);
        bytes_free(&file);
        arena_free(&a);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"good images", test_good_images},
        {"rule table", test_rule_table},
        {"mutations", test_mutations},
        {"words of an overflow", test_overflow_words},
        {"words of a deadlock", test_deadlock_words},
        {"waiting for one that does not wait", test_wait_without_cycle},
        {"routes", test_routes},
        {"changed bytes", test_bytes},
        {"random images", test_random_images},
        {"what is accepted is right", test_soundness},
        CU_TEST_INFO_NULL,
    };
    return suite_run("check", tests);
}
