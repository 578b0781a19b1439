// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstddef>
#include <vector>

#include <unmask/cuda/rows/read_rows.cuh>
#include <unmask/sampler/row_statistics.cuh>

#include "../attention/device_memory.hpp"
#include "device_rows.hpp"

namespace test {

template <class Logit>
void device_rows<Logit>::read(const cuda_executor& exec, const tensor_view<const Logit, 2>& logits, int suppressed,
                              const int* count, const detail::row_rule& rule, const double* uniforms,
                              detail::cuda::row_outcome* outcomes) {
    auto rows = detail::cuda::checked_rows("test", logits);
    rows.suppressed = suppressed;
    detail::cuda::read_rows(
        detail::cuda::work_on(exec),
        detail::cuda::row_call<Logit>{rows, logits.extents[0], count, rule, uniforms, outcomes, nullptr});
}

template <class Logit>
void device_rows<Logit>::read_filtered(const cuda_executor& exec, const tensor_view<const Logit, 2>& logits,
                                       int suppressed, const int* count, const detail::row_rule& rule,
                                       const detail::token_filter& filter, const double* uniforms,
                                       detail::cuda::row_outcome* outcomes) {
    auto rows = detail::cuda::checked_rows("test", logits);
    rows.suppressed = suppressed;
    const auto most = static_cast<std::size_t>(logits.extents[0]);
    const device_array<detail::cuda::chunk_record> records(
        std::vector<detail::cuda::chunk_record>(most * static_cast<std::size_t>(rows.chunks())));
    const device_array<detail::row_state> states{std::vector<detail::row_state>(most)};
    const device_array<detail::token_floor> floors{std::vector<detail::token_floor>(most)};
    detail::cuda::read_filtered_rows(detail::cuda::work_on(exec),
                                     detail::cuda::row_call<Logit>{rows, logits.extents[0], count, rule, uniforms,
                                                                   outcomes, nullptr, records.data(), states.data()},
                                     filter, floors.data());
    detail::synchronize(exec.stream); // before they go away
}

template <class Logit>
void device_rows<Logit>::statistics(const cuda_executor& exec, const tensor_view<const Logit, 2>& logits,
                                    row_statistics* results) {
    statistics_of(exec, logits, results);
}

template struct device_rows<float>;
template struct device_rows<bfloat16>;

} // namespace test
