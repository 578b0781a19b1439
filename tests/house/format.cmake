# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Sources are laid out by clang-format, in the version that requirements.txt pins: in tools/ of the build folder, where
# run.sh installs it, or on the path. Without it the test is skipped. To format all sources:
#     git ls-files '*.hpp' '*.cuh' '*.cpp' '*.cu' '*.inl' | xargs build/tools/bin/clang-format -i
cmake_minimum_required(VERSION 3.21)
set(root ${CMAKE_ARGV3})
set(tools ${CMAKE_ARGV4})
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/requirements.txt version REGEX "^clang-format==")
string(REPLACE "clang-format==" "" version "${version}")

find_program(clang_format clang-format PATHS ${tools}/bin NO_DEFAULT_PATH)
find_program(clang_format clang-format)
if(clang_format)
  execute_process(COMMAND ${clang_format} --version OUTPUT_VARIABLE found)
endif()
string(REPLACE "." "\\." pattern "${version}")
if(NOT found MATCHES "version ${pattern}[^0-9.]")
  message(STATUS "skipped: no clang-format ${version}")
  return()
endif()

set(files)
foreach(folder include examples tests bench)
  foreach(kind hpp cuh cpp cu inl)
    file(GLOB_RECURSE found ${root}/${folder}/*.${kind})
    list(APPEND files ${found})
  endforeach()
endforeach()
list(LENGTH files count)
if(count LESS 400)
  message(FATAL_ERROR "only ${count} files found under ${root}")
endif()
execute_process(COMMAND ${clang_format} --dry-run --Werror ${files} ERROR_VARIABLE bad RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "not as clang-format ${version} lays them out:\n${bad}")
endif()
