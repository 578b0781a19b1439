# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# The whole grid at a size that takes seconds: every cell gets its seeds, none is run twice, and the report has
# verdicts.

file(REMOVE_RECURSE ${FOLDER})

function(expect text)
  execute_process(COMMAND ${SINK_STUDY} --backcopy ${ARGN} --results ${FOLDER}/results OUTPUT_VARIABLE output
                  ERROR_VARIABLE error RESULT_VARIABLE code)
  if(NOT code EQUAL 0 OR NOT output MATCHES "${text}")
    message(FATAL_ERROR "expected '${text}', got (${code})\n${output}\n${error}")
  endif()
endfunction()

set(run --run --size tiny --threads 2)
expect("2 of 2 jobs" ${run} --only 1x1-64-hidden-front --seeds 10,11)
expect("39 of 40 jobs" ${run} --seeds 10)
expect("0 of 40 jobs" ${run} --seeds 10)
file(GLOB results ${FOLDER}/results/*)
list(LENGTH results count)
if(NOT count EQUAL 40)
  message(FATAL_ERROR "40 files expected, a cell each; there are ${count}")
endif()
expect("backcopy.svg" --report --out ${FOLDER}/report)
file(READ ${FOLDER}/report/backcopy.md report)
if(NOT report MATCHES "\\| H1 \\|[^\n]*undecided" OR report MATCHES "nan")
  message(FATAL_ERROR "a verdict on H1 expected, in\n${report}")
endif()
file(REMOVE_RECURSE ${FOLDER})
