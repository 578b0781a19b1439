# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# The program in the README is examples/quickstart.cpp, to the byte.
cmake_minimum_required(VERSION 3.21)
set(root ${CMAKE_ARGV3})
file(READ ${root}/README.md readme)
file(READ ${root}/examples/quickstart.cpp program)
string(FIND "${readme}" "```cpp\n${program}```\n" found)
if(found LESS 0)
  message(FATAL_ERROR "README.md does not quote examples/quickstart.cpp as it is")
endif()
