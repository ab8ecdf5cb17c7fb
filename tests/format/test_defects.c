// SPDX-License-Identifier: Apache-2.0
// tests/format/test_defects.c - the map of dead cores against a walk over every physical core.

#include <string.h>

#include "ir/support/rng.h"
#include "runtime/format/defects.h"
#include "tests/common/suite.h"
#include "tests/common/test_machine.h"

enum { WIDTH = 23, HEIGHT = 9, SPARES = 6, PHYSICAL = WIDTH + SPARES };

typedef struct Row { // of logical columns, by the definition
    uint32_t shift[PHYSICAL];
    bool missing[PHYSICAL];
    uint32_t n;
} Row;

// Columns are handed out from west to east; short runs get none, holes get dead ones.
static void walk(const bool *dead, Row *row)
{
    uint32_t skipped = 0;
    *row = (Row){.n = 0};
    for (uint32_t p = 0; p < PHYSICAL;) {
        uint32_t n = 0;
        while (p + n < PHYSICAL && dead[p + n])
            n++;
        if (n > 0 && n <= DEFECT_SKIP) {
            skipped += n;
            p += n;
            continue;
        }
        for (uint32_t i = 0; i < (n ? n : 1); i++, p++) {
            row->shift[row->n] = skipped;
            row->missing[row->n++] = n > 0;
        }
    }
}

static void test_random_maps(void)
{
    Machine m = test_machine();
    m.width = WIDTH;
    m.height = HEIGHT;
    m.spare_columns = SPARES;
    for (uint64_t seed = 0; seed < 500; seed++) {
        Arena a = {0};
        Rng rng = {seed};
        bool dead[HEIGHT][PHYSICAL] = {{false}};
        Row rows[HEIGHT];
        Defects d = {.runs = arena_array(&a, DefectRun, HEIGHT * PHYSICAL)};
        uint32_t n = rng_below(&rng, 40), bad;
        for (uint32_t i = 0; i < n; i++) { // overlapping ones, in any order
            DefectRun r = {(uint16_t)rng_below(&rng, HEIGHT), (uint16_t)rng_below(&rng, PHYSICAL),
                           1};
            r.n = (uint16_t)(1 + rng_below(&rng, rng_below(&rng, 5) ? 2 : PHYSICAL - r.x));
            if (r.x + r.n > PHYSICAL)
                r.n = 1;
            d.runs[d.n++] = r;
            for (uint32_t k = 0; k < r.n; k++)
                dead[r.y][r.x + k] = true;
        }
        defects_normalise(&d);
        CU_ASSERT_TRUE(defects_sound(&m, &d, &bad));
        const DefectMap *map = defect_map(&a, &m, &d);
        CU_ASSERT_EQUAL(map == NULL, d.n == 0);
        for (uint32_t y = 0; y < HEIGHT; y++)
            walk(dead[y], &rows[y]);
        unsigned wrong = 0;
        for (uint32_t y = 0; y < HEIGHT; y++) {
            for (uint32_t x = 0; x < WIDTH; x++) {
                bool missing = x >= rows[y].n || rows[y].missing[x];
                wrong += defect_missing(map, x, y) != missing;
                if (missing)
                    continue;
                wrong += defect_shift(map, x, y) != rows[y].shift[x];
                wrong += dead[y][x + rows[y].shift[x]];
                if (x + 1 < WIDTH && !defect_missing(map, x + 1, y)) {
                    uint32_t apart = 1 + rows[y].shift[x + 1] - rows[y].shift[x];
                    wrong += defect_hops(map, x, y, x + 1, y) != apart;
                    wrong += defect_hops(map, x + 1, y, x, y) != apart;
                }
                if (y + 1 < HEIGHT && !defect_missing(map, x, y + 1)) {
                    uint32_t p = rows[y].shift[x], q = rows[y + 1].shift[x];
                    wrong += defect_hops(map, x, y, x, y + 1) != 1 + (p > q ? p - q : q - p);
                }
            }
        }
        CU_ASSERT_EQUAL(wrong, 0);
        arena_free(&a);
    }
}

static void test_sound(void)
{
    Machine m = test_machine(); // 8 x 8, no spares
    static const struct {
        DefectRun runs[2];
        bool good;
    } cases[] = {
        {{{0, 0, 1}, {0, 2, 6}}, true},  {{{0, 0, 1}, {1, 0, 8}}, true},
        {{{0, 0, 2}, {0, 2, 1}}, false}, {{{1, 0, 1}, {0, 0, 1}}, false},
        {{{0, 0, 1}, {8, 0, 1}}, false}, {{{0, 0, 1}, {0, 7, 2}}, false},
        {{{0, 0, 1}, {0, 3, 0}}, false}, {{{0, 3, 1}, {0, 3, 1}}, false},
        {{{0, 5, 1}, {0, 3, 1}}, false}, {{{0, 0, 1}, {0, 65535, 65535}}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        DefectRun runs[2];
        uint32_t bad;
        memcpy(runs, cases[i].runs, sizeof runs);
        CU_ASSERT_EQUAL(defects_sound(&m, &(Defects){2, runs}, &bad), cases[i].good);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"random maps", test_random_maps}, {"sound", test_sound}, CU_TEST_INFO_NULL};
    return suite_run("defects", tests);
}
