# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Runs `generate` with the shipped model, as a user would, and checks what it prints.
#   cmake -D GENERATE=path/to/generate -P test_generate.cmake

function(generate result)
  execute_process(COMMAND ${GENERATE} ${ARGN} --quiet --threads 1 OUTPUT_VARIABLE text ERROR_VARIABLE error
                  RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "generate ${ARGN}: ended with ${code}\n${error}")
  endif()
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

generate(page --prompt "And the LORD said unto " --length 64 --steps 8 --seed 3)
if(NOT page MATCHES "^And the LORD said unto [^_]+\n$")
  message(FATAL_ERROR "the prompt is not there, or something is not filled; it printed\n${page}")
endif()
string(LENGTH "${page}" length)
if(NOT length EQUAL 65)
  message(FATAL_ERROR "--length 64 printed ${length} characters with the newline\n${page}")
endif()

generate(again --prompt "And the LORD said unto " --length 64 --steps 8 --seed 3)
if(NOT again STREQUAL page)
  message(FATAL_ERROR "the same seed printed\n${page}and then\n${again}")
endif()
generate(other --prompt "And the LORD said unto " --length 64 --steps 8 --seed 4 --temperature 1)
if(other STREQUAL page)
  message(FATAL_ERROR "another seed printed the same\n${page}")
endif()

foreach(preset llada dream mdlm)
  generate(filled --infill "In the ____ God ___ated" --preset ${preset})
  if(NOT filled MATCHES "^In the [^_][^_][^_][^_] God [^_][^_][^_]ated\n$")
    message(FATAL_ERROR "--infill with --preset ${preset} did not keep the template, or left a blank\n${filled}")
  endif()
endforeach()

execute_process(COMMAND ${GENERATE} --prompt "~" OUTPUT_VARIABLE text ERROR_VARIABLE error RESULT_VARIABLE code)
if(code EQUAL 0 OR NOT error MATCHES "the alphabet has no '~'")
  message(FATAL_ERROR "a prompt outside the alphabet ended with ${code}\n${text}${error}")
endif()
