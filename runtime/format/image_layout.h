/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/format/image_layout.h - the bytes of a .wse file. One list serves the writer, the
 * reader and the schema hash.
 *
 * An ELF64 little-endian file, ET_EXEC for EM_NONE, without program headers: the header of
 * 64 bytes, the sections of IMAGE_SECTION_LIST in that order, each at the next multiple of
 * its alignment, zeros between, then at the next multiple of 8 the section headers (a null
 * one first) and nothing more. So header, section headers and padding follow from the sizes
 * of the sections, and the reader compares them with that.
 *
 * Types, all little-endian, without padding:
 *     u8 u16 u32 u64 i8 i32 i64   integers
 *     flag     u8, 0 or 1
 *     f32      the bits of a float
 *     str      u32, offset of a NUL-terminated string in .wse.strings
 *     fraction num u32, den u32 (den > 0)
 *     grid     x, y, nx, ny, sx, sy: u32
 *     scalar   kind u8, loop u8, value i32
 *     operand  LAYOUT_OPERAND
 *     n * T    a count u32, then so many T; "T of each X": as many as there are X, no count
 * Records named LAYOUT_... below are their fields in order.
 *
 *     .note.wse     one ELF note: namesz 4, descsz 40, type 1, "WSE\0", major u32, minor
 *                   u32, SHA-256 of the schema text (IMAGE_SCHEMA)
 *     .wse.machine  name str, LAYOUT_MACHINE, then for each cost class, for each element
 *                   type: width fraction, conflict fraction
 *     .wse.defects  LAYOUT_DEFECT of each run of dead cores up to the section's end; empty for
 *                   a perfect wafer
 *     .wse.strings  strings; the first byte and the last are zero
 *     .wse.source   LAYOUT_SOURCE, then so many bytes of text
 *     .wse.origins  n * LAYOUT_ORIGIN
 *     .wse.programs n * class: n_data u32, n * flag (channel is out), n * LAYOUT_OP; without
 *                   names, so that equal programs are equal bytes
 *     .wse.plan     name str of each class, n * LAYOUT_KERNEL, n * LAYOUT_STREAM
 *     .wse.cores    n * rectangle: grid, class u32, kernel u32, LAYOUT_AFFINE of each data
 *                   word, LAYOUT_CHANNEL of each channel, n * LAYOUT_SEGMENT, n * LAYOUT_INIT
 *     .wse.routes   n * LAYOUT_ROUTE
 *     .wse.io       n * LAYOUT_TENSOR, n * (LAYOUT_PORT, i32 of each data word of its class)
 *     .wse.data     initial contents of memories; only Init offsets say what is where
 *     .wse.native   cpu str, SHA-256 of .wse.programs, then, unless that is all: entry u64 of
 *                   each class, the code up to the section's end
 *     .shstrtab     section names, in order
 *     .wse.digest   SHA-256 of each section above, in order, then SHA-256 of the file with
 *                   these last 32 bytes left out
 *
 * Version: major changes where an older reader would go wrong; the schema hash makes sure
 * that equal versions have equal layouts. */
#ifndef WSE_FORMAT_IMAGE_LAYOUT_H
#define WSE_FORMAT_IMAGE_LAYOUT_H

#include "runtime/format/image.h"

/* SECTION(ID, name, ELF section type, alignment) */
#define IMAGE_SECTION_LIST(SECTION)                                                                \
    SECTION(NOTE, ".note.wse", 7, 4)                                                               \
    SECTION(MACHINE, ".wse.machine", 1, 8)                                                         \
    SECTION(DEFECTS, ".wse.defects", 1, 8)                                                         \
    SECTION(STRINGS, ".wse.strings", 1, 8)                                                         \
    SECTION(SOURCE, ".wse.source", 1, 8)                                                           \
    SECTION(ORIGINS, ".wse.origins", 1, 8)                                                         \
    SECTION(PROGRAMS, ".wse.programs", 1, 8)                                                       \
    SECTION(PLAN, ".wse.plan", 1, 8)                                                               \
    SECTION(CORES, ".wse.cores", 1, 8)                                                             \
    SECTION(ROUTES, ".wse.routes", 1, 8)                                                           \
    SECTION(IO, ".wse.io", 1, 8)                                                                   \
    SECTION(DATA, ".wse.data", 1, 64)                                                              \
    SECTION(NATIVE, ".wse.native", 1, 64)                                                          \
    SECTION(SHSTRTAB, ".shstrtab", 3, 1)                                                           \
    SECTION(DIGEST, ".wse.digest", 1, 8)

typedef enum ImageSection {
#define SECTION(id, name, type, align) IMAGE_##id,
    IMAGE_SECTION_LIST(SECTION)
#undef SECTION
        IMAGE_SECTIONS
} ImageSection;

/* FIELD(type, member) */
#define LAYOUT_MACHINE(FIELD)                                                                      \
    FIELD(u32, width)                                                                              \
    FIELD(u32, height)                                                                             \
    FIELD(u32, spare_columns)                                                                      \
    FIELD(u64, clock_hz)                                                                           \
    FIELD(u32, sram_bytes)                                                                         \
    FIELD(u32, reserve_bytes)                                                                      \
    FIELD(u32, op_bytes)                                                                           \
    FIELD(u32, banks)                                                                              \
    FIELD(u32, bank_bytes)                                                                         \
    FIELD(u32, setup)                                                                              \
    FIELD(u32, setup_loop)                                                                         \
    FIELD(u32, latency)                                                                            \
    FIELD(fraction, landing)                                                                       \
    FIELD(u32, colors)                                                                             \
    FIELD(u32, reserved_colors)                                                                    \
    FIELD(u32, queues_in)                                                                          \
    FIELD(u32, queues_out)                                                                         \
    FIELD(u32, hop)                                                                                \
    FIELD(u32, ramp)                                                                               \
    FIELD(u32, ports_west)                                                                         \
    FIELD(u32, ports_east)                                                                         \
    FIELD(fraction, host_words)

#define LAYOUT_DEFECT(FIELD)                                                                       \
    FIELD(u16, y)                                                                                  \
    FIELD(u16, x)                                                                                  \
    FIELD(u16, n)

#define LAYOUT_SOURCE(FIELD) /* members of Image */                                                \
    FIELD(str, producer)                                                                           \
    FIELD(str, options)                                                                            \
    FIELD(str, model)                                                                              \
    FIELD(str, source_name)                                                                        \
    FIELD(flag, has_weights)                                                                       \
    FIELD(u64, source_len)

#define LAYOUT_ORIGIN(FIELD)                                                                       \
    FIELD(str, name)                                                                               \
    FIELD(u32, line)                                                                               \
    FIELD(u32, column)

#define LAYOUT_OPERAND(FIELD)                                                                      \
    FIELD(u8, kind)                                                                                \
    FIELD(u8, dtype)                                                                               \
    FIELD(u8, channel)                                                                             \
    FIELD(u8, held)                                                                                \
    FIELD(f32, value)                                                                              \
    FIELD(scalar, base)                                                                            \
    FIELD(scalar, stride[0])                                                                       \
    FIELD(scalar, stride[1])                                                                       \
    FIELD(scalar, stride[2])                                                                       \
    FIELD(scalar, stride[3])                                                                       \
    FIELD(scalar, step[0])                                                                         \
    FIELD(scalar, step[1])                                                                         \
    FIELD(scalar, step[2])                                                                         \
    FIELD(scalar, step[3])                                                                         \
    FIELD(scalar, ring_pitch)                                                                      \
    FIELD(scalar, ring_offset)                                                                     \
    FIELD(scalar, ring_modulus)                                                                    \
    FIELD(i8, ring_coef[0])                                                                        \
    FIELD(i8, ring_coef[1])                                                                        \
    FIELD(i8, ring_coef[2])                                                                        \
    FIELD(i8, ring_coef[3])

#define LAYOUT_OP(FIELD)                                                                           \
    FIELD(u8, code)                                                                                \
    FIELD(u32, origin)                                                                             \
    FIELD(scalar, extent[0])                                                                       \
    FIELD(scalar, extent[1])                                                                       \
    FIELD(scalar, extent[2])                                                                       \
    FIELD(scalar, extent[3])                                                                       \
    FIELD(scalar, count)                                                                           \
    FIELD(operand, dst)                                                                            \
    FIELD(operand, src[0])                                                                         \
    FIELD(operand, src[1])                                                                         \
    FIELD(operand, src[2])

#define LAYOUT_KERNEL(FIELD)                                                                       \
    FIELD(str, name)                                                                               \
    FIELD(str, kind)                                                                               \
    FIELD(str, shape)                                                                              \
    FIELD(u32, x)                                                                                  \
    FIELD(u32, y)                                                                                  \
    FIELD(u32, w)                                                                                  \
    FIELD(u32, h)                                                                                  \
    FIELD(u32, origin)                                                                             \
    FIELD(u64, cycles)                                                                             \
    FIELD(u64, compute)                                                                            \
    FIELD(u32, bytes)                                                                              \
    FIELD(u32, turn)                                                                               \
    FIELD(flag, mirror)                                                                            \
    FIELD(u32, lanes_in)                                                                           \
    FIELD(u32, lanes_out)                                                                          \
    FIELD(u32, split)

#define LAYOUT_STREAM(FIELD)                                                                       \
    FIELD(str, name)                                                                               \
    FIELD(i32, from)                                                                               \
    FIELD(i32, to)                                                                                 \
    FIELD(u32, lanes)                                                                              \
    FIELD(u32, color)                                                                              \
    FIELD(u32, messages)                                                                           \
    FIELD(u32, words)                                                                              \
    FIELD(u32, origin)                                                                             \
    FIELD(str, tensor)                                                                             \
    FIELD(u32, rows)                                                                               \
    FIELD(u32, cols)                                                                               \
    FIELD(u32, features)                                                                           \
    FIELD(u32, segs)                                                                               \
    FIELD(u32, dtype)                                                                              \
    FIELD(u32, to_input)                                                                           \
    FIELD(u32, trunk)                                                                              \
    FIELD(u32, forks)

#define LAYOUT_AFFINE(FIELD)                                                                       \
    FIELD(i32, value)                                                                              \
    FIELD(i32, di)                                                                                 \
    FIELD(i32, dj)

#define LAYOUT_CHANNEL(FIELD)                                                                      \
    FIELD(i32, color)                                                                              \
    FIELD(u32, ring)                                                                               \
    FIELD(u32, slots)                                                                              \
    FIELD(u32, slot_words)

#define LAYOUT_SEGMENT(FIELD)                                                                      \
    FIELD(u32, address)                                                                            \
    FIELD(u32, bytes)                                                                              \
    FIELD(u32, kind)                                                                               \
    FIELD(u32, origin)

#define LAYOUT_INIT(FIELD)                                                                         \
    FIELD(u32, address)                                                                            \
    FIELD(u32, bytes)                                                                              \
    FIELD(u64, offset)                                                                             \
    FIELD(i64, pitch_i)                                                                            \
    FIELD(i64, pitch_j)

#define LAYOUT_RECT(FIELD)                                                                         \
    FIELD(grid, grid)                                                                              \
    FIELD(u32, class_id)                                                                           \
    FIELD(u32, kernel)

#define LAYOUT_ROUTE(FIELD)                                                                        \
    FIELD(grid, grid)                                                                              \
    FIELD(u32, color)                                                                              \
    FIELD(u32, in)                                                                                 \
    FIELD(u32, out)                                                                                \
    FIELD(u32, stream)

#define LAYOUT_TENSOR(FIELD)                                                                       \
    FIELD(str, name)                                                                               \
    FIELD(flag, is_output)                                                                         \
    FIELD(u32, dtype)                                                                              \
    FIELD(u32, rank)                                                                               \
    FIELD(u32, extent[0])                                                                          \
    FIELD(u32, extent[1])                                                                          \
    FIELD(u32, extent[2])                                                                          \
    FIELD(u32, extent[3])                                                                          \
    FIELD(u32, origin)

#define LAYOUT_PORT(FIELD)                                                                         \
    FIELD(flag, is_sink)                                                                           \
    FIELD(u32, side)                                                                               \
    FIELD(u32, y)                                                                                  \
    FIELD(u32, color)                                                                              \
    FIELD(u32, tensor)                                                                             \
    FIELD(u32, class_id)                                                                           \
    FIELD(u32, p)                                                                                  \
    FIELD(u32, q)                                                                                  \
    FIELD(u32, stream)

/* The schema text: the sections and records as listed above, and the numbers of opcodes. */
#define SCHEMA_SECTION(id, name, type, align)  name " "
#define SCHEMA_FIELD(type, member)             #type " " #member ";"
#define SCHEMA_OPCODE(id, text, sources, cost) text " "
/* clang-format off */
#define IMAGE_SCHEMA                                                                               \
    IMAGE_SECTION_LIST(SCHEMA_SECTION)                                                             \
    "machine " LAYOUT_MACHINE(SCHEMA_FIELD) "defect " LAYOUT_DEFECT(SCHEMA_FIELD)                  \
    "source " LAYOUT_SOURCE(SCHEMA_FIELD) "origin " LAYOUT_ORIGIN(SCHEMA_FIELD) "operand " LAYOUT_OPERAND(SCHEMA_FIELD)                  \
    "op " LAYOUT_OP(SCHEMA_FIELD) "kernel " LAYOUT_KERNEL(SCHEMA_FIELD)                            \
    "stream " LAYOUT_STREAM(SCHEMA_FIELD) "affine " LAYOUT_AFFINE(SCHEMA_FIELD)                    \
    "channel " LAYOUT_CHANNEL(SCHEMA_FIELD) "segment " LAYOUT_SEGMENT(SCHEMA_FIELD)                \
    "init " LAYOUT_INIT(SCHEMA_FIELD) "rect " LAYOUT_RECT(SCHEMA_FIELD)                            \
    "route " LAYOUT_ROUTE(SCHEMA_FIELD) "tensor " LAYOUT_TENSOR(SCHEMA_FIELD)                      \
    "port " LAYOUT_PORT(SCHEMA_FIELD) "opcodes " OPCODE_LIST(SCHEMA_OPCODE)
/* clang-format on */

/* Sizes in bytes of the types and records. */
#define SIZE_u8                     1
#define SIZE_i8                     1
#define SIZE_flag                   1
#define SIZE_u16                    2
#define SIZE_u32                    4
#define SIZE_i32                    4
#define SIZE_f32                    4
#define SIZE_str                    4
#define SIZE_u64                    8
#define SIZE_i64                    8
#define SIZE_fraction               8
#define SIZE_grid                   24
#define SIZE_scalar                 6
#define SIZE_operand                (0 LAYOUT_OPERAND(SIZE_FIELD_IN))
#define SIZE_FIELD_IN(type, member) +SIZE_##type
#define SIZE_FIELD(type, member)    +SIZE_##type
#define LAYOUT_SIZE(LAYOUT)         (0 LAYOUT(SIZE_FIELD))

enum { ELF_HEADER = 64, ELF_SECTION = 64, DIGEST_BYTES = 32, NOTE_BYTES = 12 + 4 + 8 + 32 };
enum { IMAGE_DIGEST_BYTES = IMAGE_SECTIONS * DIGEST_BYTES }; /* of .wse.digest */

typedef struct SectionBytes {
    const uint8_t *data;
    uint64_t len;
} SectionBytes;

typedef struct SectionPlace {
    uint64_t offset[IMAGE_SECTIONS], headers, end;
} SectionPlace;

extern const char *const image_section_names[IMAGE_SECTIONS];

/* Where sections of these sizes stand; false if the file would not fit 63 bits. */
bool image_place(const uint64_t len[IMAGE_SECTIONS], SectionPlace *result);

/* The ELF header and the section headers (1 + IMAGE_SECTIONS of them) for these sizes. */
void image_headers(const uint64_t len[IMAGE_SECTIONS], const SectionPlace *place,
                   uint8_t elf[ELF_HEADER], uint8_t sections[(1 + IMAGE_SECTIONS) * ELF_SECTION]);

/* The contents of the sections that are the same in every image of this version. */
void image_note(uint8_t note[NOTE_BYTES]);
extern const char image_shstrtab[];
extern const uint64_t image_shstrtab_len;

/* Finds the sections of a file by its section headers: names, order, places and bounds are
 * checked, digests are not. False with a static text in *why. */
bool image_sections(Bytes file, SectionBytes section[IMAGE_SECTIONS], const char **why);

/* The digests as .wse.digest should hold them. */
void image_digests(Bytes file, const SectionBytes section[IMAGE_SECTIONS],
                   uint8_t digest[IMAGE_DIGEST_BYTES]);

#endif
