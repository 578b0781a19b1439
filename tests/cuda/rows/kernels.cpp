// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/row_statistics.cuh>

#include "device_rows.hpp"

namespace test {

template <class Logit>
void device_rows<Logit>::read(const cuda_executor& exec, const tensor_view<const Logit, 2>& logits, int suppressed,
                              const int* count, const detail::row_rule& rule, const double* uniforms,
                              detail::gpu::row_outcome* outcomes) {
    auto rows = detail::gpu::checked_rows("test", logits);
    rows.suppressed = suppressed;
    detail::gpu::read_rows(
        exec, detail::gpu::row_call<Logit>{rows, logits.extents[0], count, rule, uniforms, outcomes, nullptr});
}

template <class Logit>
void device_rows<Logit>::statistics(const cuda_executor& exec, const tensor_view<const Logit, 2>& logits,
                                    row_statistics* results) {
    statistics_of(exec, logits, results);
}

template struct device_rows<float>;
template struct device_rows<bfloat16>;

} // namespace test
