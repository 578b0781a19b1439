# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# cmake -P check.cmake FILE COMPILER FLAGS...
#
# FILE must not compile, and what the compiler says must match every line `// expected-error: REGEX` of it (at least
# one). With a line `// expected-errors: 1` that must be all: one error and no others after it. If FILE's name ends in
# _control.cpp or _control.cu, it must compile.
cmake_minimum_required(VERSION 3.21)
set(arguments)
foreach(i RANGE 3 ${CMAKE_ARGC})
  list(APPEND arguments ${CMAKE_ARGV${i}})
endforeach()
list(POP_FRONT arguments file)

set(ENV{LC_ALL} C) # messages in English, with ASCII quotes
execute_process(COMMAND ${arguments} ${file} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)

if(file MATCHES "_control\\.(cpp|cu)$")
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${file} must compile, but:\n${output}")
  endif()
  return()
endif()

if(status EQUAL 0)
  message(FATAL_ERROR "${file} compiles, but must not")
endif()
file(STRINGS ${file} lines REGEX "// expected-error: ")
if(NOT lines)
  message(FATAL_ERROR "${file} has no line `// expected-error: REGEX`")
endif()
foreach(line IN LISTS lines)
  string(REGEX REPLACE ".*// expected-error: " "" expected "${line}")
  if(NOT output MATCHES "${expected}")
    message(FATAL_ERROR "${file} fails without saying `${expected}`, but:\n${output}")
  endif()
endforeach()

file(STRINGS ${file} promised REGEX "// expected-errors: 1$")
string(REGEX MATCHALL "error: " errors "${output}") # gcc, clang and nvcc all write it so
list(LENGTH errors count)
if(promised AND NOT count EQUAL 1)
  message(FATAL_ERROR "${file} must fail with one error, but there are ${count}:\n${output}")
endif()
