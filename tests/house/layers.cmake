# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Under include/unmask: a folder includes only itself and folders below it, cpu/ and cuda/ never meet; .hpp files
# include no CUDA and nothing else that is not standard; no header is longer than 450 lines.
cmake_minimum_required(VERSION 3.21)
set(bottom_to_top tensor numeric random mask sink cpu cuda executor io attention sampler analysis parallel)

set(root ${CMAKE_ARGV3}/include/unmask)
file(GLOB_RECURSE headers RELATIVE ${root} ${root}/*/*.hpp ${root}/*/*.cuh)
set(bad)
foreach(header ${headers})
  file(READ ${root}/${header} text)
  string(REGEX MATCHALL "\n" line_ends "${text}")
  list(LENGTH line_ends length)
  if(length GREATER 450)
    string(APPEND bad "\n  ${header} has ${length} lines")
  endif()

  string(REGEX REPLACE "/.*" "" folder ${header})
  list(FIND bottom_to_top ${folder} height)
  if(height LESS 0)
    string(APPEND bad "\n  ${header}: the folder has no place in the order of tests/house/layers.cmake")
  endif()
  file(STRINGS ${root}/${header} includes REGEX "^ *# *include")
  foreach(include ${includes})
    if(include MATCHES "<unmask/([a-z]+)/")
      list(FIND bottom_to_top ${CMAKE_MATCH_1} included_height)
      if(included_height GREATER height OR included_height LESS 0 OR "${folder} ${CMAKE_MATCH_1}" STREQUAL "cuda cpu")
        string(APPEND bad "\n  ${header}: ${include} points up")
      endif()
    elseif(header MATCHES "hpp$"
           AND NOT include MATCHES "<(unmask/(config|version|error)\\.hpp|[a-z_]+|(omp|immintrin|emmintrin)\\.h)>"
           AND NOT "${folder} ${include}" MATCHES "io .*<(fcntl|unistd|sys/(mman|stat))\\.h>"
           AND NOT "${header} ${include}" MATCHES "^parallel/mpi\\.hpp .*<mpi\\.h>")
      string(APPEND bad "\n  ${header}: ${include} is not standard")
    endif()
  endforeach()
endforeach()
if(bad)
  message(FATAL_ERROR "against the rules:${bad}")
endif()
