# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# What is CUDA's own (assembly, intrinsics, calls of the runtime) is in few headers, and kernels have none of it. cuda/
# and the folders named device/ hold .cuh files alone. CUB comes in small pieces: all of it costs users seconds.
cmake_minimum_required(VERSION 3.21)
set(root ${CMAKE_ARGV3}/include/unmask)
file(GLOB_RECURSE headers RELATIVE ${root} ${root}/*.cuh)
set(cudas_own cuda/runtime/calls.cuh cuda/runtime/collectives.cuh cuda/runtime/device.cuh cuda/runtime/graph_loop.cuh)
if(NOT headers)
  message(FATAL_ERROR "no .cuh file found under ${root}")
endif()

set(bad)
foreach(header ${headers})
  set(names_runtime_types FALSE)
  if(header STREQUAL "error.cuh" OR header STREQUAL "tensor/device_memory.cuh")
    set(names_runtime_types TRUE)
  endif()

  file(READ ${root}/${header} text)
  string(REGEX REPLACE "//[^\n]*" "" text "${text}")
  if(NOT header IN_LIST cudas_own AND NOT names_runtime_types
     AND text MATCHES "[^A-Za-z0-9_](asm|__[A-Za-z_]+|cuda[A-Z][A-Za-z]*|threadIdx|blockIdx)[^A-Za-z0-9_]|(<<<)")
    string(APPEND bad "\n  ${header}: ${CMAKE_MATCH_1}${CMAKE_MATCH_2} is CUDA's own")
  endif()

  string(REGEX MATCHALL "#include <[^>]*" includes "${text}")
  list(TRANSFORM includes REPLACE ".*<" "")
  list(FILTER includes EXCLUDE REGEX "^(unmask/.*\\.(hpp|cuh)|[a-z_]+|cub/(block|device)/[a-z_]+\\.cuh)$")
  if(names_runtime_types OR header STREQUAL "cuda/runtime/calls.cuh")
    list(REMOVE_ITEM includes cuda_runtime_api.h)
  endif()
  foreach(include ${includes})
    string(APPEND bad "\n  ${header} includes ${include}")
  endforeach()
endforeach()
file(GLOB_RECURSE misplaced RELATIVE ${root} ${root}/cuda/*.hpp ${root}/*/device/*.hpp)
foreach(header ${misplaced})
  string(APPEND bad "\n  ${header} is where .cuh files belong")
endforeach()
if(bad)
  message(FATAL_ERROR "against the rules:${bad}")
endif()
