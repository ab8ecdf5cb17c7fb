/* SPDX-License-Identifier: Apache-2.0 */
/* backend/native/link.c - LLVM's relocatable object to one position-independent blob.
 *
 * Sections that are loaded (.text*, .rodata*) are laid out in the object's order, each
 * aligned as it asks; relative relocations are applied (System V ABI, AMD64 supplement,
 * table 4.9). Absolute relocations, writable data and undefined symbols cannot be had in a
 * blob that is mapped anywhere and calls nothing: each is an internal error that names its
 * symbol or section. Linear in the object's size. */
#include "backend/native/native.h"

#include <elf.h>
#include <stdlib.h>

typedef struct Object {
    const uint8_t *bytes;
    size_t len;
    const Elf64_Ehdr *head;
    const Elf64_Shdr *section;
    const char *names;
    uint64_t *place; /* offset of each section in the blob; UINT64_MAX: not loaded */
} Object;

static bool broken(Diag *d, const char *what)
{
    return diag_internal(d, (Span){0}, "native code: LLVM's object is malformed: %s", what);
}

static bool open_object(Arena *a, Diag *d, const uint8_t *bytes, size_t len, Object *o)
{
    *o = (Object){.bytes = bytes, .len = len, .head = (const Elf64_Ehdr *)(const void *)bytes};
    if (len < sizeof *o->head || memcmp(bytes, ELFMAG, SELFMAG) != 0 ||
        o->head->e_ident[EI_CLASS] != ELFCLASS64 || o->head->e_machine != EM_X86_64 ||
        o->head->e_type != ET_REL || o->head->e_shentsize != sizeof(Elf64_Shdr))
        return broken(d, "header");
    if (o->head->e_shoff > len ||
        o->head->e_shnum > (len - o->head->e_shoff) / sizeof(Elf64_Shdr) ||
        o->head->e_shstrndx >= o->head->e_shnum || o->head->e_shoff % 8 != 0)
        return broken(d, "section table");
    o->section = (const Elf64_Shdr *)(const void *)(bytes + o->head->e_shoff);
    for (unsigned i = 0; i < o->head->e_shnum; i++) {
        const Elf64_Shdr *s = &o->section[i];
        if (s->sh_type != SHT_NOBITS && (s->sh_offset > len || s->sh_size > len - s->sh_offset))
            return broken(d, "section outside of the file");
    }
    o->names = (const char *)bytes + o->section[o->head->e_shstrndx].sh_offset;
    o->place = arena_array(a, uint64_t, o->head->e_shnum);
    return true;
}

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Gives every loaded section its place; returns the size of the blob in *size. */
static bool lay_out(Diag *d, Object *o, uint64_t *size)
{
    *size = 0;
    for (unsigned i = 0; i < o->head->e_shnum; i++) {
        const Elf64_Shdr *s = &o->section[i];
        const char *name = o->names + s->sh_name;
        o->place[i] = UINT64_MAX;
        if (!(s->sh_flags & SHF_ALLOC) || s->sh_size == 0 || starts_with(name, ".eh_frame"))
            continue;
        if ((s->sh_flags & SHF_WRITE) || s->sh_type != SHT_PROGBITS ||
            !(starts_with(name, ".text") || starts_with(name, ".rodata")))
            return diag_internal(d, (Span){0}, "native code: unexpected section %s", name);
        uint64_t align = s->sh_addralign ? s->sh_addralign : 1;
        if (align > 4096)
            return diag_internal(d, (Span){0}, "native code: section %s is aligned to %llu", name,
                                 (unsigned long long)align);
        *size = (*size + align - 1) / align * align;
        o->place[i] = *size;
        *size += s->sh_size;
    }
    return true;
}

typedef struct Symbols {
    const Elf64_Sym *sym;
    size_t n;
    const char *names;
} Symbols;

static bool find_symbols(Diag *d, const Object *o, Symbols *result)
{
    for (unsigned i = 0; i < o->head->e_shnum; i++) {
        const Elf64_Shdr *s = &o->section[i];
        if (s->sh_type != SHT_SYMTAB)
            continue;
        if (s->sh_link >= o->head->e_shnum || s->sh_offset % 8 != 0)
            return broken(d, "symbol table");
        result->sym = (const Elf64_Sym *)(const void *)(o->bytes + s->sh_offset);
        result->n = s->sh_size / sizeof(Elf64_Sym);
        result->names = (const char *)o->bytes + o->section[s->sh_link].sh_offset;
        return true;
    }
    return broken(d, "no symbol table");
}

static bool relocate(Diag *d, const Object *o, const Symbols *y, const Elf64_Shdr *rela,
                     uint8_t *code)
{
    const Elf64_Shdr *target = &o->section[rela->sh_info];
    const Elf64_Rela *r = (const Elf64_Rela *)(const void *)(o->bytes + rela->sh_offset);
    for (size_t i = 0; i < rela->sh_size / sizeof *r; i++) {
        uint64_t index = ELF64_R_SYM(r[i].r_info), type = ELF64_R_TYPE(r[i].r_info);
        if (index >= y->n || r[i].r_offset > target->sh_size || target->sh_size - r[i].r_offset < 4)
            return broken(d, "relocation");
        const Elf64_Sym *s = &y->sym[index];
        const char *name = y->names + s->st_name;
        if (ELF64_ST_TYPE(s->st_info) == STT_SECTION && s->st_shndx < o->head->e_shnum)
            name = o->names + o->section[s->st_shndx].sh_name;
        if (s->st_shndx == SHN_UNDEF)
            return diag_internal(d, (Span){0}, "native code: undefined symbol %s", name);
        if (s->st_shndx >= o->head->e_shnum || o->place[s->st_shndx] == UINT64_MAX)
            return diag_internal(d, (Span){0}, "native code: symbol %s is not in the code", name);
        if (type != R_X86_64_PC32 && type != R_X86_64_PLT32)
            return diag_internal(d, (Span){0}, "native code: relocation of type %llu against %s",
                                 (unsigned long long)type, name);
        uint64_t place = o->place[rela->sh_info] + r[i].r_offset;
        int64_t value =
            (int64_t)(o->place[s->st_shndx] + s->st_value) + r[i].r_addend - (int64_t)place;
        if (value != (int32_t)value)
            return diag_internal(d, (Span){0}, "native code: %s is too far away", name);
        int32_t word = (int32_t)value;
        memcpy(code + place, &word, 4);
    }
    return true;
}

bool native_link(Arena *a, Diag *d, const uint8_t *object, size_t len, uint32_t n_classes,
                 NativeCode *result)
{
    Object o;
    Symbols y = {0};
    uint64_t size;
    if (!open_object(a, d, object, len, &o) || !find_symbols(d, &o, &y) || !lay_out(d, &o, &size))
        return false;
    uint8_t *code = arena_alloc(a, size ? size : 1, 1, 64);
    for (unsigned i = 0; i < o.head->e_shnum; i++)
        if (o.place[i] != UINT64_MAX)
            memcpy(code + o.place[i], object + o.section[i].sh_offset, o.section[i].sh_size);
    for (size_t i = 1; i < y.n; i++)
        if (y.sym[i].st_shndx == SHN_UNDEF)
            return diag_internal(d, (Span){0}, "native code: undefined symbol %s",
                                 y.names + y.sym[i].st_name);
    for (unsigned i = 0; i < o.head->e_shnum; i++) {
        const Elf64_Shdr *s = &o.section[i];
        if (s->sh_type != SHT_RELA || s->sh_info >= o.head->e_shnum ||
            o.place[s->sh_info] == UINT64_MAX)
            continue;
        if (s->sh_offset % 8 != 0)
            return broken(d, "relocations");
        if (!relocate(d, &o, &y, s, code))
            return false;
    }
    result->bytes = size;
    result->code = code;
    result->entry = arena_array(a, uint64_t, n_classes);
    for (uint32_t k = 0; k < n_classes; k++)
        result->entry[k] = UINT64_MAX;
    for (size_t i = 0; i < y.n; i++) {
        const char *name = y.names + y.sym[i].st_name;
        if (ELF64_ST_TYPE(y.sym[i].st_info) != STT_FUNC || !starts_with(name, "class_") ||
            y.sym[i].st_shndx >= o.head->e_shnum || o.place[y.sym[i].st_shndx] == UINT64_MAX)
            continue;
        unsigned long id = strtoul(name + strlen("class_"), NULL, 10);
        if (id < n_classes)
            result->entry[id] = o.place[y.sym[i].st_shndx] + y.sym[i].st_value;
    }
    return true;
}
