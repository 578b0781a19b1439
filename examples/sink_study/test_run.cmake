# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# The whole study at a size that takes seconds: every job gets a result, and none is done twice.

file(REMOVE_RECURSE ${FOLDER})
set(command ${SINK_STUDY} --run --size tiny --threads 2 --text ${TEXT} --results ${FOLDER}/results
            --work ${FOLDER}/work)

function(expect text)
  execute_process(COMMAND ${command} OUTPUT_VARIABLE output ERROR_VARIABLE error RESULT_VARIABLE code)
  if(NOT code EQUAL 0 OR NOT output MATCHES "${text}")
    message(FATAL_ERROR "expected '${text}', got (${code})\n${output}\n${error}")
  endif()
endfunction()

expect("84 of 84 jobs done")
file(GLOB results ${FOLDER}/results/*.json)
list(LENGTH results count)
file(GLOB left ${FOLDER}/work/*.state)
if(NOT count EQUAL 84 OR left)
  message(FATAL_ERROR "84 results and no state of an unfinished job expected; there are ${count}, and ${left}")
endif()
expect("^0 of 84 jobs to do")
file(REMOVE_RECURSE ${FOLDER})
