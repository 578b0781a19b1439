#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Runs the programs beside it (see bundle.sh) on a GPU, in the order of their importance: correctness, compute-sanitizer
# where it is installed, benchmarks.
#
#   go.sh [RESULTS]     SECONDS_IN_ALL=350 limits the time
#
# Prints a line for each step. RESULTS (results/) gets a log of each and, after each, results.json: a stop loses what
# runs at that moment, and nothing else. Fails if a step did.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
results=$(realpath -m "${1:-results}")
limit=${SECONDS_IN_ALL:-350}
libraries=$(mktemp -d)
trap 'rm -rf "$libraries"' EXIT
mkdir -p "$results"
cd "$here" && tar --extract --gzip --file lib.tar.gz --directory "$libraries" || exit 2
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

begin=$SECONDS
telling='assertions:|ERROR SUMMARY|RACECHECK SUMMARY|calls of the model|^loss |largest difference' # lines of a log
failures=0
steps=()      # as JSON
benchmarks=() # files

quoted() { printf '"%s"' "$(tr -d '\000-\037' <<<"$1" | sed 's/[\\"]/\\&/g')"; }
joined() { local IFS=,; echo "$*"; }

write_results() {
    local file
    {
        printf '{"commit": %s, "date": %s, "gpu": %s,\n' "$(quoted "$(cat commit 2>/dev/null)")" \
            "$(quoted "$(date -u +%FT%TZ)")" "$(quoted "$gpu")"
        printf '"steps": [%s],\n"benchmarks": {' "$(joined "${steps[@]}")"
        for file in "${benchmarks[@]}"; do
            [ "$file" = "${benchmarks[0]}" ] || printf ','
            printf '\n%s: ' "$(quoted "$(basename "$file" .json)")"
            cat "$file"
        done
        printf '}}\n'
    } >"$results/results.json.new"
    mv "$results/results.json.new" "$results/results.json"
}

# step NAME SECONDS COMMAND...: runs it, for no longer than that or than there is time.
step() {
    local name=$1 most=$2 started=$SECONDS left=$((limit - (SECONDS - begin))) code said
    shift 2
    if [ "$left" -lt 5 ]; then
        said="left out: no time" code=0
    else
        timeout "$((most < left ? most : left))" "$@" >"$results/$name.log" 2>&1
        code=$?
        said=$(grep -hE "$telling" "$results/$name.log" | tail -n 1 | sed 's/^[=\[]*[a-z]*\]* *//; s/  */ /g')
        case $code in
        0) ;;
        77) said="skipped: no GPU" code=0 ;;
        124) said="stopped after $((SECONDS - started)) s. $said" ;;
        *) said="exit status $code. $said" ;;
        esac
    fi
    [ "$code" -eq 0 ] || failures=$((failures + 1))
    local seconds=$((SECONDS - started)) verdict=ok
    [ "$code" -eq 0 ] || verdict=FAILED
    printf '%-28s %-6s %4d s  %s\n' "$name" "$verdict" "$seconds" "$said"
    steps+=("{\"name\": $(quoted "$name"), \"status\": $code, \"seconds\": $seconds, \"said\": $(quoted "$said")}")
    write_results
}
measure() { # NAME SECONDS PROGRAM FILTER
    local file=$results/$1.json
    rm -f "$file"
    step "$1" "$2" "./$3" "--benchmark_filter=$4" --benchmark_min_time=0.05 --benchmark_out="$file"
    if grep -q '^}' "$file" 2>/dev/null; then # it came to its end
        benchmarks+=("$file")
        write_results
    fi
}
sanitize() { # NAME SECONDS TOOL PROGRAM ARGUMENTS...
    local name=$1 most=$2 tool=$3
    shift 3
    step "$name" "$most" compute-sanitizer --tool "$tool" --error-exitcode 1 "$@"
}

gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo none)
echo "GPU: $gpu"

step runtime 20 ./test_cuda_runtime
step rows 40 ./test_cuda_rows
step sampler 60 ./test_cuda_sampler
step attention 90 ./test_cuda_attention
step example_device_sampler 10 ./device_sampler
step example_custom_mask 10 ./cuda_custom_mask
step example_training 10 ./cuda_training
if ! ldd ./language_model_cuda_tests 2>&1 | grep -q "libcublas.*=> /"; then
    echo "cuBLAS is not installed: the language model is left out"
else
    step language_model 40 ./language_model_cuda_tests
    step language_model_bfloat16 40 ./language_model_cuda_bfloat16_tests
fi
if command -v compute-sanitizer >/dev/null; then
    sanitize memcheck_attention 40 memcheck ./test_cuda_attention -sf="*identities*"
    sanitize racecheck_attention 40 racecheck ./test_cuda_attention -sf="*stream*"
    sanitize memcheck_sampler 40 memcheck ./test_cuda_sampler -tc="the defaults*"
    sanitize memcheck_rows 30 memcheck ./test_cuda_rows
else
    echo "compute-sanitizer is not installed"
fi
measure bench_forward 30 bench_attention_cuda '^forward/bf16/bidirectional/no_sink/length:8192/.*head_dim:(64|128)$'
measure bench_backward 30 bench_attention_cuda '^backward/bf16/(bidirectional|block_32)/.*head_dim:128$'
measure bench_rows 20 bench_sampler_cuda '^rows/'
measure bench_step 20 bench_sampler_cuda '^(step|replay)/'
measure bench_sinks 30 bench_attention_cuda '^forward/bf16/bidirectional/[a-z_]+_sink/length:8192/.*head_dim:128$'
measure bench_masks 30 bench_attention_cuda '^forward/bf16/[a-z_]+[^/]*/no_sink/length:8192/.*head_dim:128$'
measure bench_decoding 20 bench_attention_cuda '^forward/bf16/.*/queries:'
measure bench_received 20 bench_attention_cuda '^received/'
measure bench_fp32 20 bench_attention_cuda '^(forward|backward)/fp32/'
exit $((failures > 0))
