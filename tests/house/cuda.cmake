# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Where .cuh files are and what is in them. Kernels run on the host in the tests, so whatever is CUDA's own is in the two
# headers that tests replace: the device's in cuda/device.cuh, the runtime's in cuda/runtime.cuh. CUB comes by single
# headers, because <cub/cub.cuh> costs users seconds.
cmake_minimum_required(VERSION 3.21)
set(root ${CMAKE_ARGV3}/include/unmask)
set(replaced cuda/device.cuh cuda/runtime.cuh)
set(words "asm|<<<|threadIdx|blockIdx|blockDim|gridDim|(^|[^A-Za-z0-9_])__[a-z]+|cuda[A-Z][A-Za-z]+")

file(GLOB_RECURSE headers RELATIVE ${root} ${root}/*.cuh)
set(bad)
foreach(header ${headers})
  if(NOT header MATCHES "^cuda/" AND NOT header STREQUAL "unmask.cuh")
    string(APPEND bad "\n  ${header} is neither in cuda/ nor unmask.cuh")
  endif()
  file(STRINGS ${root}/${header} lines)
