// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// POSIX declares functions in the global namespace (index, select, read, …), libcu++ the namespace cuda. After
// `using namespace unmask` every public name must still be unambiguous.

#if defined(__CUDACC__)
#include <cuda/std/cstdint>
#include <unmask/unmask.cuh>
#else
#include <unmask/unmask.hpp>
#endif

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

using namespace unmask;

template <class... Types>
struct all_of {};

using types =
    all_of<index_t, token_t, invalid_argument, tensor_view<float, 1>, bfloat16, float16, philox, range, ranges<1>,
           tile_class, mask_fault, bidirectional, causal, block, sliding_window, prefix, document, block_diffusion,
           shadow_block, extra_sink<causal>, predicate<bool (*)(index_t, index_t)>, no_sink, off_by_one_sink,
           logit_sink, key_sink, key_value_sink, cpu_executor, attention_tensors<float>, attention_gradients<float>,
           attention_options, attention_state, vocabulary, canvas, row, position_state, candidate, score, score_from,
           step_share, schedule_step, steps, cosine_steps, timesteps, block_length, confidence, margin,
           negative_entropy, random_order, top_k, threshold, ancestral, greedy, categorical, filter_order, stop_at_end,
           never_stop, commitment, sampler_step, no_observer, trace, statistics, non_finite_logits, policy_kind,
           decltype(sampler{steps{}, greedy{}}), decltype(presets::llada())>;
using more_of_the_masks =
    all_of<mask_audit, mask_contradiction, mask_and<causal, block>, mask_not<causal>, hidden_keys, own_position>;
using more_of_the_sampler =
    all_of<steps_per_block, block_origin, change, position_range, cache_use, no_cache, prefix_cache, dual_cache,
           cache_drift, factor, entropy_bound, kl_stable, hierarchical, first_hitting, or_quota<threshold>,
           either<threshold, factor>, both<threshold, factor>, noisy<confidence>, end_last<confidence, 1>,
           annealed_categorical, suppress_tokens, credit, logits_chain<credit>, guidance, corruption_step, absorbing,
           remdm_cap, remdm_rescale, remdm_conf, remdm_loop, wino, edit, duo, entropy_renoise, stop_at_tokens,
           stop_at_repetition, stop_at_any<stop_at_end, stop_at_repetition>, likelihood_options, likelihood_bound,
           path_likelihood, key_value_store<float>, kv_cache<float, block>, logits_stream, trace_difference, trace_file,
           trace_cursor, html_options, terminal_options>;
using types_of_the_analysis =
    all_of<sink_record, sink_tracker, sink_tracker_options, attention_unit, above_share, above_others, above_deviations,
           above_robust_z_score, null_sink, highest, sink_movement, over_steps, sink_run, sink_metric,
           sink_html_options, sink_svg_options>;

#if defined(__CUDACC__)
using cuda_types = all_of<cuda_executor, cuda_stream, cuda_error, device_memory_resource, cuda::std::int32_t>;
#endif

float functions(std::array<float, 8>& memory, std::array<float, 2>& output) {
    const tensor_view<float, 4> tensor = view(memory.data(), 1, 2, 1, 2);
    const tensor_view<float, 4> result = view(output.data(), 1, 1, 1, 2);
    const attention_tensors<float> tensors{.query = view(memory.data() + 4, 1, 1, 1, 2),
                                           .key = tensor,
                                           .value = tensor,
                                           .output = result,
                                           .log_sum_exp = {}};
    attention_forward(cpu_executor{}, tensors, !(causal{} && block{2}) || prefix{1});
    reference::attention_forward(tensors, bidirectional{});
    trace recorded;
    canvas page(vocabulary{.size = 2, .mask = 2, .end = {}});
    replay(recorded, page);
    static_cast<void>(compare(recorded, recorded));
    static_cast<void>(audit(block{2}, 4, 4).correct());
    const std::vector<sink_record> steps = shuffled({}, 1);
    static_cast<void>(movement_of(steps, 0, 0, highest{}).overlap + sink_rate(steps, above_share{}) +
                      extra_mass_of(steps, 0, 0).mean + value_norm_ratio_of(steps, 0, 0, above_others{}) +
                      mean_pairwise_cosine({}));
    const attention_state state = merge(state_of(output, 0.0F), attention_state{.output = output});
    return state.log_sum_exp();
}
