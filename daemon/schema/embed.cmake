# Turns the *.sql of this folder into one C file, for schema.h:
#
#   cmake -DOUT=schema_sql.c -DDIR=daemon/schema -P embed.cmake
#
# NNN_name.sql goes to schema_files, by number; seed_name.sql to schema_seeds, by name; another name is an error.
# The text becomes bytes, not string literals, which ISO C lets end at 4,095 characters.

foreach(var OUT DIR)
    if(NOT ${var})
        message(FATAL_ERROR "embed.cmake: -D${var}= is missing")
    endif()
endforeach()

get_filename_component(DIR ${DIR} ABSOLUTE)
file(GLOB names RELATIVE ${DIR} ${DIR}/*.sql)
list(SORT names) # three digits: by name is by number
set(files "")
set(seeds "")
set(arrays "")
set(last_number -1)
set(seeds_count 0)
foreach(name IN LISTS names)
    if(name MATCHES "^([0-9][0-9][0-9])_[a-z_]+\\.sql$")
        math(EXPR number "1${CMAKE_MATCH_1} - 1000") # 006 is 6
        if(number EQUAL last_number)
            message(FATAL_ERROR "embed.cmake: ${name}: two files have the number ${number}")
        endif()
        set(last_number ${number})
        set(kind files)
    elseif(name MATCHES "^seed_[a-z_]+\\.sql$")
        math(EXPR seeds_count "${seeds_count} + 1")
        set(number ${seeds_count})
        set(kind seeds)
    else()
        message(FATAL_ERROR "embed.cmake: ${name}: a file is called NNN_name.sql or seed_name.sql")
    endif()

    file(READ ${DIR}/${name} bytes HEX)
    string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    if(bytes MATCHES "0x00,")
        message(FATAL_ERROR "embed.cmake: ${name}: a zero byte would end the text early")
    endif()
    string(REGEX REPLACE "\\.sql$" "" name ${name})
    string(APPEND arrays "static const unsigned char sql_${name}[] = {\n${bytes}0x00};\n\n")
    string(APPEND ${kind} "    {${number}, \"${name}\", (const char *)sql_${name}},\n")
endforeach()
if(NOT files OR NOT seeds)
    message(FATAL_ERROR "embed.cmake: no migration or no seed in ${DIR}")
endif()

set(text "/* Made by daemon/schema/embed.cmake from the .sql files beside it. */\n#include \"schema/schema.h\"\n\n")
string(APPEND text "${arrays}")
foreach(kind files seeds)
    string(APPEND text
        "const struct schema_file schema_${kind}[] = {\n${${kind}}};\n"
        "const size_t schema_${kind}_count = sizeof schema_${kind} / sizeof schema_${kind}[0];\n\n")
endforeach()
file(WRITE ${OUT} "${text}")
