# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# `train` on the GPU, or what stands in for one: a run, which goes on on the CPU, and then again on the GPU.

file(REMOVE ${FILE} ${FILE}.state)
set(options --out ${FILE} --text ${TEXT} --sink token --optimizer adamw --average 0 --width 16 --layers 1 --heads 2
            --ffn 16 --length 16 --batch 4 --windows 1 --draws 2 --log-every 1 --threads 1)

function(train expected)
  execute_process(COMMAND ${TRAIN} ${options} ${ARGN} OUTPUT_VARIABLE text ERROR_VARIABLE error RESULT_VARIABLE code)
  if(NOT code EQUAL 0 OR NOT text MATCHES "${expected}")
    message(FATAL_ERROR "train ${ARGN}: ended with ${code}, expected '${expected}'; it printed\n${text}${error}")
  endif()
endfunction()
train("from step 0\nstep 1/2 .*step 2/2 .*held-out bound [1-9]" --device cuda --steps 2)
train("from step 2\nstep 3/3 .*held-out bound [1-9]" --device cpu --steps 3)
train("from step 3\nstep 4/4 .*held-out bound [1-9]" --device cuda --precision float --pass 2 --steps 4)
file(REMOVE ${FILE} ${FILE}.state)
