// SPDX-License-Identifier: Apache-2.0
// runtime/format/image_layout.c - the frame of a .wse file, for writer and reader: places,
// ELF headers, note, digests. All of it follows from the sizes of the sections.
#include "runtime/format/image_layout.h"

#include "ir/support/hash.h"

const char *const image_section_names[IMAGE_SECTIONS] = {
#define SECTION(id, name, type, align) [IMAGE_##id] = name,
    IMAGE_SECTION_LIST(SECTION)
#undef SECTION
};

const char image_shstrtab[] = "\0"
#define SECTION(id, name, type, align) name "\0"
    IMAGE_SECTION_LIST(SECTION);
#undef SECTION

const uint64_t image_shstrtab_len = sizeof image_shstrtab - 1; // names end in NULs of their own

static const struct {
    uint32_t type, align;
} section_info[IMAGE_SECTIONS] = {
#define SECTION(id, name, type, align) [IMAGE_##id] = {type, align},
    IMAGE_SECTION_LIST(SECTION)
#undef SECTION
};

static bool advance(uint64_t *at, uint64_t align, uint64_t len)
{
    *at = (*at + align - 1) / align * align;
    return len <= INT64_MAX - 1024 - *at;
}

bool image_place(const uint64_t len[IMAGE_SECTIONS], SectionPlace *result)
{
    uint64_t at = ELF_HEADER;

    for (int i = 0; i < IMAGE_SECTIONS; i++) {
        if (!advance(&at, section_info[i].align, len[i]))
            return false;
        result->offset[i] = at;
        at += len[i];
    }
    if (!advance(&at, 8, (1 + IMAGE_SECTIONS) * ELF_SECTION))
        return false;
    result->headers = at;
    result->end = at + (1 + IMAGE_SECTIONS) * ELF_SECTION;
    return true;
}

static void set(uint8_t *at, int bytes, uint64_t v)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> 8 * i);
}

void image_headers(const uint64_t len[IMAGE_SECTIONS], const SectionPlace *place,
                   uint8_t elf[ELF_HEADER], uint8_t sections[(1 + IMAGE_SECTIONS) * ELF_SECTION])
{
    uint32_t name = 1;

    memset(elf, 0, ELF_HEADER);
    memcpy(elf,
           "\x7f"
           "ELF\2\1\1", // 64 bits, little-endian, version 1
           7);
    set(elf + 16, 2, 2);                  // e_type: ET_EXEC
    set(elf + 20, 4, 1);                  // e_version
    set(elf + 40, 8, place->headers);     // e_shoff
    set(elf + 52, 2, ELF_HEADER);         // e_ehsize
    set(elf + 58, 2, ELF_SECTION);        // e_shentsize
    set(elf + 60, 2, 1 + IMAGE_SECTIONS); // e_shnum
    set(elf + 62, 2, 1 + IMAGE_SHSTRTAB); // e_shstrndx

    memset(sections, 0, (1 + IMAGE_SECTIONS) * ELF_SECTION);
    for (int i = 0; i < IMAGE_SECTIONS; i++) {
        uint8_t *s = sections + (1 + i) * ELF_SECTION;
        set(s, 4, name);                       // sh_name
        set(s + 4, 4, section_info[i].type);   // sh_type
        set(s + 24, 8, place->offset[i]);      // sh_offset
        set(s + 32, 8, len[i]);                // sh_size
        set(s + 48, 8, section_info[i].align); // sh_addralign
        name += (uint32_t)strlen(image_section_names[i]) + 1;
    }
}

void image_note(uint8_t note[NOTE_BYTES])
{
    set(note, 4, 4);
    set(note + 4, 4, NOTE_BYTES - 16);
    set(note + 8, 4, 1);
    memcpy(note + 12, "WSE", 4);
    set(note + 16, 4, IMAGE_VERSION_MAJOR);
    set(note + 20, 4, IMAGE_VERSION_MINOR);
    sha256(IMAGE_SCHEMA, sizeof IMAGE_SCHEMA - 1, note + 24);
}

void image_digests(Bytes file, const SectionBytes section[IMAGE_SECTIONS],
                   uint8_t digest[IMAGE_DIGEST_BYTES])
{
    // The part of .wse.digest that the last digest covers is the one written here.
    const uint8_t *own = section[IMAGE_DIGEST].data;
    const uint8_t *after = own + IMAGE_DIGEST_BYTES;
    Sha256 s;

    for (int i = 0; i < IMAGE_DIGEST; i++)
        sha256(section[i].data, section[i].len, digest + i * DIGEST_BYTES);
    sha256_init(&s);
    sha256_add(&s, file.data, (size_t)(own - file.data));
    sha256_add(&s, digest, IMAGE_DIGEST_BYTES - DIGEST_BYTES);
    sha256_add(&s, after, file.len - (size_t)(after - file.data));
    sha256_finish(&s, digest + IMAGE_DIGEST_BYTES - DIGEST_BYTES);
}

static uint64_t get(const uint8_t *at, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)at[i] << 8 * i;
    return v;
}

bool image_sections(Bytes file, SectionBytes section[IMAGE_SECTIONS], const char **why)
{
    uint8_t elf[ELF_HEADER], headers[(1 + IMAGE_SECTIONS) * ELF_SECTION];
    uint64_t len[IMAGE_SECTIONS];
    SectionPlace place;

    if (file.len < ELF_HEADER) {
        *why = "the file ends within its ELF header";
        return false;
    }
    uint64_t at = get(file.data + 40, 8);
    if (at > file.len || file.len - at < sizeof headers) {
        *why = "the file ends before the end of its section headers";
        return false;
    }
    for (int i = 0; i < IMAGE_SECTIONS; i++) {
        len[i] = get(file.data + at + (1 + i) * ELF_SECTION + 32, 8);
        if (len[i] > file.len) {
            *why = "a section header names more bytes than the file has";
            return false;
        }
    }
    if (len[IMAGE_NOTE] != NOTE_BYTES || len[IMAGE_DIGEST] != IMAGE_DIGEST_BYTES ||
        len[IMAGE_SHSTRTAB] != image_shstrtab_len || len[IMAGE_STRINGS] == 0) {
        *why = "a section of fixed size has another one";
        return false;
    }
    if (!image_place(len, &place) || place.end != file.len) {
        *why = "the section sizes do not add up to the file";
        return false;
    }
    image_headers(len, &place, elf, headers);
    if (memcmp(elf, file.data, sizeof elf) != 0 ||
        memcmp(headers, file.data + place.headers, sizeof headers) != 0) {
        *why = "the ELF header or the section headers are not those of an image";
        return false;
    }
    uint64_t end = ELF_HEADER;
    for (int i = 0; i <= IMAGE_SECTIONS; i++) {
        uint64_t begin = i < IMAGE_SECTIONS ? place.offset[i] : place.headers;
        for (; end < begin; end++) {
            if (file.data[end] != 0) {
                *why = "bytes between sections are not zero";
                return false;
            }
        }
        if (i < IMAGE_SECTIONS) {
            section[i] = (SectionBytes){file.data + begin, len[i]};
            end = begin + len[i];
        }
    }
    if (memcmp(section[IMAGE_SHSTRTAB].data, image_shstrtab, image_shstrtab_len) != 0) {
        *why = "section .shstrtab: names that are not those of an image";
        return false;
    }
    return true;
}

bool image_rehash(Bytes *file)
{
    SectionBytes section[IMAGE_SECTIONS];
    uint8_t digest[IMAGE_DIGEST_BYTES];
    const char *why;

    if (!image_sections(*file, section, &why))
        return false;
    image_digests(*file, section, digest);
    memcpy(file->data + (section[IMAGE_DIGEST].data - file->data), digest, sizeof digest);
    return true;
}
