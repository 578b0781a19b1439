# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# unmask.hpp includes every header for host compilers, directly or through others; unmask.cuh includes all headers.
# parallel/mpi.hpp and parallel/nccl.cuh, which need MPI and NCCL, are in neither.
cmake_minimum_required(VERSION 3.21)
set(root ${CMAKE_ARGV3}/include)

function(expect_reached umbrella)
  set(reached ${umbrella})
  set(queue ${umbrella})
  while(queue)
    list(POP_FRONT queue header)
    file(STRINGS ${root}/${header} includes REGEX "^#include <unmask/")
    foreach(include ${includes})
      string(REGEX REPLACE ".*<(.*)>.*" "\\1" include "${include}")
      if(NOT include IN_LIST reached)
        list(APPEND reached ${include})
        list(APPEND queue ${include})
      endif()
    endforeach()
  endwhile()

  file(GLOB_RECURSE missing RELATIVE ${root} ${ARGN})
  list(REMOVE_ITEM missing ${reached} unmask/parallel/mpi.hpp unmask/parallel/nccl.cuh)
  if(missing)
    message(FATAL_ERROR "${umbrella} does not lead to: ${missing}")
  endif()
endfunction()

expect_reached(unmask/unmask.hpp ${root}/*.hpp)
expect_reached(unmask/unmask.cuh ${root}/*.hpp ${root}/*.cuh)
