# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# The programs on 1 to 4 processes: cmake -D MPIEXEC=… -D LAYER=… -D GENERATE=… -D DLM=… -D TRAIN=… -D MAKE_MODEL=…
# -D CHECKPOINT=FILE -D TEXT=FILE -D FOLDER=… -P test_distributed.cmake

file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})

function(run_on ranks output)
  execute_process(COMMAND ${MPIEXEC} -n ${ranks} --oversubscribe --bind-to none ${ARGN} WORKING_DIRECTORY ${FOLDER}
                  OUTPUT_VARIABLE text ERROR_VARIABLE error RESULT_VARIABLE status TIMEOUT 120)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN} on ${ranks} processes ended with ${status}: ${text} ${error}")
  endif()
  set(${output} "${text}" PARENT_SCOPE)
endfunction()

function(fails_on ranks expected)
  execute_process(COMMAND ${MPIEXEC} -n ${ranks} --oversubscribe --bind-to none ${ARGN} WORKING_DIRECTORY ${FOLDER}
                  OUTPUT_VARIABLE text ERROR_VARIABLE error RESULT_VARIABLE status TIMEOUT 120)
  if(status EQUAL 0 OR NOT "${text}${error}" MATCHES "${expected}")
    message(FATAL_ERROR "${ARGN} on ${ranks} processes ended with ${status} and '${text}${error}', expected an error "
                        "with '${expected}'")
  endif()
endfunction()

function(expect_same what one other)
  if(NOT "${one}" STREQUAL "${other}")
    message(FATAL_ERROR "${what} differs: '${one}' and '${other}'")
  endif()
endfunction()

# Attention: the program compares rows with their definition.
foreach(mask causal block_diffusion sink)
  foreach(ranks 2 4)
    run_on(${ranks} ignored ${LAYER} --mask ${mask} --length 1500 --heads 2 --head-dim 32 --rows 6)
  endforeach()
endforeach()
fails_on(2 "--mask is 'round', expected bidirectional" ${LAYER} --mask round)

# Sequences: the pages of one process. Fewer pages than processes leave some without work.
if(EXISTS ${CHECKPOINT})
  foreach(pages 1 5)
    set(generate ${GENERATE} --checkpoint ${CHECKPOINT} --length 24 --samples ${pages} --steps 6)
    run_on(1 alone ${generate})
    foreach(ranks 2 3)
      run_on(${ranks} text ${generate})
      expect_same("the text of ${pages} pages on ${ranks} processes" "${alone}" "${text}")
    endforeach()
  endforeach()
endif()

# Positions: the text of one process.
foreach(family LLaDA Dream)
  execute_process(COMMAND ${MAKE_MODEL} --model ${FOLDER}/${family} --family ${family} RESULT_VARIABLE status)
  set(dlm ${DLM} --model ${family} --prompt "the mask" --length 13 --steps 7)
  run_on(1 alone ${dlm})
  foreach(ranks 2 4)
    run_on(${ranks} text ${dlm})
    expect_same("${family}'s text on ${ranks} processes" "${alone}" "${text}")
  endforeach()
endforeach()
execute_process(COMMAND ${MAKE_MODEL} --model ${FOLDER}/SDAR --family SDAR RESULT_VARIABLE status)
fails_on(2 "--model is 'SDAR', expected LLaDA or Dream" ${DLM} --model SDAR --prompt a)

# Batches: the losses of one process, and the same file whether the run goes on with more processes or was never
# stopped. The held-out bound has four digits.
set(small --text ${TEXT} --width 32 --layers 2 --heads 2 --ffn 48 --length 32 --batch 6 --pass 1 --windows 4 --draws 2
    --warm-up 2 --log-every 1)
function(losses output ranks)
  run_on(${ranks} text ${TRAIN} ${small} ${ARGN})
  string(REGEX MATCHALL "step [0-9]+/[0-9]+  loss [0-9.]+ bits|held-out bound [0-9.]+" found "${text}")
  if(NOT found MATCHES "held-out bound")
    message(FATAL_ERROR "no losses in '${text}'")
  endif()
  set(${output} "${found}" PARENT_SCOPE)
endfunction()
losses(alone 1 --steps 12 --out one.safetensors)
losses(together 3 --steps 12 --out three.safetensors)
expect_same("the losses of 3 processes" "${alone}" "${together}")
file(COPY_FILE ${FOLDER}/one.safetensors.state ${FOLDER}/more.safetensors.state)
losses(begun 1 --steps 16 --out more.safetensors)
losses(gone_on 2 --steps 16 --out three.safetensors)
expect_same("the losses after a change of processes" "${begun}" "${gone_on}")
fails_on(3 "a batch has 2 passes, expected at least one for each of 3 processes" ${TRAIN} ${small} --batch 2
         --out none.safetensors)
