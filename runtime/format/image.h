/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/format/image.h - the .wse image: in memory, and its bytes (image_write,
 * image_read).
 *
 * An image is a wafer program as data: classes of cores, rectangles of cores with their
 * data, memory maps and weights, router configurations, host ports. Nothing else: the
 * runtime derives everything it needs (who receives what) from it, and the checker proves
 * it from it alone.
 *
 * "Rectangle with steps": Grid {x, y, nx, ny, sx, sy} is the cores (x + i*sx, y + j*sy),
 * 0 <= i < nx, 0 <= j < ny; sx, sy >= 1.
 *
 * Bytes: one ELF64 little-endian file (ET_EXEC, EM_NONE), readable with readelf -S.
 * The section table and each section's layout, field by field, stand at the top of
 * image_layout.h. */
#ifndef WSE_FORMAT_IMAGE_H
#define WSE_FORMAT_IMAGE_H

#include "ir/support/arena.h"
#include "ir/support/diag.h"
#include "ir/support/io.h"
#include "runtime/format/defects.h"
#include "runtime/format/machine.h"
#include "runtime/format/program.h"

enum { IMAGE_VERSION_MAJOR = 1, IMAGE_VERSION_MINOR = 2, IMAGE_MAX_RANK = 4 };

typedef enum Side { SIDE_N, SIDE_E, SIDE_S, SIDE_W, SIDE_RAMP, SIDE_COUNT } Side;

static inline Side side_opposite(Side s)
{
    return s == SIDE_RAMP ? SIDE_RAMP : (Side)((s + 2) % 4);
}

/* One step from (x, y) to the neighbor on a side; y grows to the south. */
static inline int side_dx(Side s)
{
    return s == SIDE_E ? 1 : s == SIDE_W ? -1 : 0;
}
static inline int side_dy(Side s)
{
    return s == SIDE_S ? 1 : s == SIDE_N ? -1 : 0;
}

typedef struct Grid {
    uint32_t x, y, nx, ny, sx, sy;
} Grid;

/* A number that is affine over a grid: value + i * di + j * dj. */
typedef struct Affine {
    int32_t value, di, dj;
} Affine;

/* A place in the source with a name: what an operation, buffer or stream belongs to. */
typedef struct Origin {
    const char *name; /* "conv1" */
    uint32_t line;    /* 1-based line in the model's text, 0 if none */
    uint32_t column;
} Origin;

/* What a class's channel is on the cores of a CoreRect. */
typedef struct Channel {
    int32_t color;       /* -1: this core does not use the channel */
    uint32_t ring;       /* in: byte address of the ring in SRAM, multiple of 4 */
    uint32_t slots;      /* in: c, whole messages; >= 1 */
    uint32_t slot_words; /* in: n, the longest message */
} Channel;

typedef enum SegmentKind {
    SEGMENT_WEIGHTS, /* constant; from init */
    SEGMENT_BUFFER,  /* line buffers, partial sums, scratch; read and written */
    SEGMENT_RING,    /* of a channel; touched by landings only */
    SEGMENT_DATA,    /* the core's data words, 4 bytes each; constant */
    SEGMENT_CODE,    /* op_bytes per operation of the class; first, at address 0 after the
                        reserve: [reserve_bytes, reserve_bytes + code) */
    SEGMENT_COUNT
} SegmentKind;

typedef struct Segment { /* one piece of a core's memory map */
    uint32_t address, bytes;
    uint32_t kind;   /* SegmentKind */
    uint32_t origin; /* index into origins */
} Segment;

/* Initial contents: core (i, j) gets `bytes` bytes at `address` from
 * data[offset + i * pitch_i + j * pitch_j]. Memory without init starts at zero. */
typedef struct Init {
    uint32_t address, bytes;
    uint64_t offset;
    int64_t pitch_i, pitch_j;
} Init;

typedef struct CoreRect {
    Grid grid;
    uint32_t class_id;
    uint32_t kernel;   /* index into kernels */
    Affine *data;      /* n_data of the class */
    Channel *channels; /* n_channels of the class */
    Segment *segments;
    uint32_t n_segments;
    Init *inits;
    uint32_t n_inits;
} CoreRect;

/* The same router configuration on every router of a grid. Per router and color there is
 * one configuration at most. */
typedef struct RouteRect {
    Grid grid;
    uint32_t color;
    uint32_t in;     /* Side from which the color is accepted; RAMP at a route's source, W or
                        E of an edge router at a host port */
    uint32_t out;    /* set of sides, 1u << Side; RAMP: delivered to the core here; W or E of
                        an edge router: to a host port */
    uint32_t stream; /* index into streams */
} RouteRect;

/* A tensor of the host: one sample of it. */
typedef struct HostTensor {
    const char *name;
    bool is_output;
    uint32_t dtype; /* DType */
    uint32_t rank;
    uint32_t extent[IMAGE_MAX_RANK];
    uint32_t origin;
} HostTensor;

/* A host port runs a program too: class_id names a class with one channel (out for an
 * input tensor: the host sends), whose memory is the bytes of one sample of the tensor, base
 * 0. Only copy operations: c0 <- m[..] or m[..] <- c0. No segments, no rings. A message of n
 * words takes ceil(n * p / q) cycles; the next one starts after that. */
typedef struct Port {
    bool is_sink;  /* receives results */
    uint32_t side; /* SIDE_W (attached to router (0, y)) or SIDE_E (width - 1, y) */
    uint32_t y;
    uint32_t color;
    uint32_t tensor;
    uint32_t class_id;
    int32_t *data; /* n_data of the class */
    uint32_t p, q;
    uint32_t stream;
} Port;

typedef struct KernelInfo { /* for people and wsec --relink; the checker uses only the region */
    const char *name;       /* "conv1", "fc1+relu" */
    const char *kind;       /* "conv", "matvec", "line", "adapter" ... */
    const char *shape;      /* "6x5 columns, 16 rows: 1 channel x 1 tap row x 2 filters" */
    uint32_t x, y, w, h;    /* region; regions are disjoint */
    uint32_t origin;
    uint64_t cycles;  /* compiler's estimate per sample of its slowest core */
    uint64_t compute; /* of that, the durations of multiply-accumulates */
    uint32_t bytes;   /* SRAM of its fullest core, code and reserve included */
    /* How it stands and where lanes enter and leave: see Kernel and Shape of ir/plan.h. */
    uint32_t turn;
    bool mirror;
    uint32_t lanes_in, lanes_out, split;
} KernelInfo;

typedef struct StreamInfo {
    const char *name; /* "conv1 -> pool1" */
    int32_t from, to; /* kernels, -1 for the host */
    uint32_t lanes, color;
    uint32_t messages; /* per lane and sample */
    uint32_t words;    /* longest message */
    uint32_t origin;
    const char *tensor; /* name of the tensor it carries, for --dump; may be "" */
    /* How the tensor [rows, cols, features] travels: lane l carries features
     * [begin, begin + count): with b = features / lanes, r = features % lanes, lanes l < r
     * carry b + 1, the rest b; a message is cols / segs positions of a row (the first
     * cols % segs messages of a row one more), [position][feature]. */
    uint32_t rows, cols, features, segs, dtype;
    uint32_t to_input; /* which input of kernel `to` */
    uint32_t trunk;    /* 0: sent by `from`; else 1 + the stream of the same source that is
                          passed on by its kernel and goes on as this one, or, */
    uint32_t forks;    /* if not 0, whose way this one leaves */
} StreamInfo;

typedef struct NativeCode { /* empty: bytes == 0 */
    const char *cpu;        /* "x86-64-v3" */
    uint8_t programs[32];   /* SHA-256 of the programs section it was made from */
    uint64_t bytes;
    const uint8_t *code; /* one position-independent blob, mapped read + execute */
    uint64_t *entry;     /* of each class; UINT64_MAX: none (host ports' classes) */
} NativeCode;

typedef struct Image {
    Machine machine;
    Defects defects;         /* of the wafer it was placed for; none: a perfect one */
    const char *producer;    /* "wsec 0.1.0" */
    const char *options;     /* what it was compiled with, free of paths */
    const char *model;       /* name of the model */
    const char *source_name; /* base name of the source file */
    const char *source;      /* its text */
    uint64_t source_len;
    bool has_weights; /* false: planned with --weights none; runs in times only */

    Origin *origins; /* origins[0] is "no origin" */
    uint32_t n_origins;
    Class *classes;
    uint32_t n_classes;
    KernelInfo *kernels;
    uint32_t n_kernels;
    StreamInfo *streams;
    uint32_t n_streams;
    CoreRect *cores;
    uint32_t n_cores; /* rectangles */
    RouteRect *routes;
    uint32_t n_routes;
    HostTensor *tensors;
    uint32_t n_tensors;
    Port *ports;
    uint32_t n_ports;
    const uint8_t *data; /* weights */
    uint64_t data_bytes;
    NativeCode native;
    uint8_t digest[32]; /* of the file; set by image_read() */
} Image;

/* Serialises; the result is on the heap (bytes_free). Deterministic. */
void image_write(const Image *image, Bytes *result);

/* SHA-256 of the programs section that image_write() will write: what native code is bound
 * to. Names of classes are not part of it, the origins of operations are. */
void image_programs_digest(const Image *image, uint8_t digest[32]);

/* Recomputes all digests of a file in place, after a deliberate change of its bytes. False if
 * the frame of the file (headers, sections' places) is not that of an image. */
bool image_rehash(Bytes *file);

/* Reads and bounds-checks every count, index and string against the bytes that are there,
 * and verifies all digests. Reports to d with `path`. `bytes` must outlive the image (data
 * and native code point into it). Does not check meaning: that is runtime/check.h. */
bool image_read(Arena *a, Diag *d, const char *path, Bytes bytes, Image *result);

#endif
