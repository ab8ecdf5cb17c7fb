# SPDX-License-Identifier: Apache-2.0
# Turns files into C arrays: cmake -DOUT=x.c -DFILES="a.xml;machine.xsd" -P embed.cmake
set(text "#include \"passes/embedded.h\"\n")
set(table "")
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME)
  string(MAKE_C_IDENTIFIER "${name}" id)
  file(READ "${file}" hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
  string(APPEND text "static const char ${id}[] = {${hex}0};\n")
  string(APPEND table "    {\"${name}\", ${id}, sizeof ${id} - 1},\n")
endforeach()
string(APPEND text "const EmbeddedFile embedded_files[] = {\n${table}    {0, 0, 0}};\n")
file(WRITE "${OUT}" "${text}")
