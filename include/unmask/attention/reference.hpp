// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <unmask/attention/detail/checks.hpp>
#include <unmask/attention/tensors.hpp>
#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/sink_policy.hpp>

/// Attention in plain loops with all arithmetic in double: the judge of every kernel, and the definition to read. Of
/// the mask it calls only `visible`. T may also be double. Throws as the fast functions do; runs on one thread;
/// O(length²) work. With Real = float it is the naive implementation that kernels are compared with.
namespace unmask::inline UNMASK_ABI_NAMESPACE::reference {
namespace detail {

using unmask::detail::resolved_scale;

// A key that a row sees.
template <class Real>
struct visible_key {
    index_t position;
    Real slope;       // derivative of the capped score with respect to scale · q · k
    Real probability; // the score, before the softmax
};

// The softmax of one row of the score matrix.
template <class Real>
struct row_softmax {
    std::vector<visible_key<Real>> keys;
    bool sees_sink = false; // there is one, and its score isn't −∞
    Real sink_slope = 1;
    Real sink_probability = 0;
    Real log_sum_exp = -std::numeric_limits<Real>::infinity();
};

template <class Real, class T, class Mask, class Sink>
class problem {
public:
    problem(const attention_tensors<T>& tensors, const Mask& mask, const Sink& sink, const attention_options& options)
        : tensors_(tensors), mask_(mask), sink_(sink), options_(options),
          scale_(static_cast<Real>(resolved_scale(options, tensors.query.extents[3]))) {}

    [[nodiscard]] index_t batch() const { return tensors_.query.extents[0]; }
    [[nodiscard]] index_t heads() const { return tensors_.query.extents[2]; }
    [[nodiscard]] index_t head_dim() const { return tensors_.query.extents[3]; }
    [[nodiscard]] index_t kv_head(index_t head) const { return head / (heads() / tensors_.key.extents[2]); }
    [[nodiscard]] Real scale() const { return scale_; }
    [[nodiscard]] index_t queries(index_t b) const {
        return options_.query_lengths.empty() ? tensors_.query.extents[1]
                                              : options_.query_lengths[static_cast<std::size_t>(b)];
    }
    [[nodiscard]] index_t keys(index_t b) const {
        return options_.key_lengths.empty() ? tensors_.key.extents[1]
                                            : options_.key_lengths[static_cast<std::size_t>(b)];
    }

    [[nodiscard]] row_softmax<Real> softmax(index_t b, index_t head, index_t row) const {
        const T* query = tensors_.query.pointer(b, row, head);
        constexpr Real nothing = -std::numeric_limits<Real>::infinity();
        row_softmax<Real> result;
        Real sink_score = nothing;
        if constexpr (Sink::has_key) {
            sink_score = score(query, sink_.key(kv_head(head)), result.sink_slope);
        } else if constexpr (Sink::present) {
            sink_score = static_cast<Real>(sink_.logit(head));
        }
        result.sees_sink = sink_score != nothing;
        Real largest = sink_score; // but for NaN, which fmax passes over
        for (index_t k = 0; k < keys(b); ++k) {
            if (mask_.visible(options_.query_offset + row, options_.key_offset + k)) {
                visible_key<Real> seen{k, 1, 0};
                seen.probability = score(query, tensors_.key.pointer(b, k, kv_head(head)), seen.slope);
                largest = std::fmax(largest, seen.probability);
                result.keys.push_back(seen);
            }
        }
        const Real shift = largest == nothing ? 0 : largest;
        Real sum = std::exp(sink_score - shift);
        for (const visible_key<Real>& seen : result.keys) {
            sum += std::exp(seen.probability - shift);
        }
        const Real factor = sum == 0 ? 0 : 1 / sum; // 0: the row saw nothing
        for (visible_key<Real>& seen : result.keys) {
            seen.probability = std::exp(seen.probability - shift) * factor;
        }
        result.sink_probability = std::exp(sink_score - shift) * factor;
        result.log_sum_exp = sum == 0 ? nothing : shift + std::log(sum);
        return result;
    }

    // Column d of a row's output. A sink without a value has one of 0.
    [[nodiscard]] Real output(const row_softmax<Real>& row, index_t b, index_t head, index_t d) const {
        Real sum = 0;
        for (const visible_key<Real>& seen : row.keys) {
            sum += seen.probability * static_cast<Real>(tensors_.value(b, seen.position, kv_head(head), d));
        }
        if (row.sees_sink) {
            Real value = 0;
            if constexpr (Sink::has_value) {
                value = static_cast<Real>(sink_.value(kv_head(head))[d]);
            }
            sum += row.sink_probability * value;
        }
        return sum;
    }

private:
    template <class Key>
    Real score(const T* query, const Key* key, Real& slope) const {
        Real result = 0;
        for (index_t d = 0; d < head_dim(); ++d) {
            result += static_cast<Real>(query[d]) * static_cast<Real>(key[d]);
        }
        result *= scale_;
        slope = 1;
        if (options_.soft_cap > 0.0F) {
            const Real cap = static_cast<Real>(options_.soft_cap);
            const Real tanh = std::tanh(result / cap);
            slope = Real(1) - tanh * tanh;
            result = cap * tanh;
        }
        return result;
    }

    const attention_tensors<T>& tensors_;
    const Mask& mask_;
    const Sink& sink_;
    const attention_options& options_;
    Real scale_;
};

// A dense tensor of sums, rounded to the storage type once, at the end.
template <class Real, std::size_t Rank>
class accumulator {
public:
    template <class T>
    explicit accumulator(const tensor_view<T, Rank>& like) : view_{nullptr, like.extents, {}} {
        index_t stride = 1;
        for (std::size_t i = Rank; i-- > 0;) {
            view_.strides[i] = stride;
            stride *= like.extents[i];
        }
        sums_.assign(static_cast<std::size_t>(stride), 0);
        view_.data = sums_.data();
    }

    Real& operator()(auto... indices) { return view_(indices...); }

    template <class T>
    void store(const tensor_view<T, Rank>& to) {
        if (to.empty()) {
            return;
        }
        for (std::size_t i = 0; i < sums_.size(); ++i) {
            index_t offset = 0;
            auto rest = static_cast<index_t>(i);
            for (std::size_t dimension = Rank; dimension-- > 0;) {
                offset += rest % to.extents[dimension] * to.strides[dimension];
                rest /= to.extents[dimension];
            }
            to.data[offset] = static_cast<T>(sums_[i]);
        }
    }

private:
    std::vector<Real> sums_;
    tensor_view<Real, Rank> view_;
};

template <class Real, class T, class Mask, class Sink>
void forward(const attention_tensors<T>& tensors, const Mask& mask, const Sink& sink,
             const attention_options& options) {
    const detail::problem<Real, T, Mask, Sink> problem(tensors, mask, sink, options);
    detail::accumulator<Real, 4> output(tensors.output);
    for (index_t b = 0; b < problem.batch(); ++b) {
        for (index_t head = 0; head < problem.heads(); ++head) {
            for (index_t row = 0; row < tensors.query.extents[1]; ++row) {
                const bool in_sequence = row < problem.queries(b);
                const detail::row_softmax<Real> p =
                    in_sequence ? problem.softmax(b, head, row) : detail::row_softmax<Real>{};
                for (index_t d = 0; d < problem.head_dim(); ++d) {
                    output(b, row, head, d) = problem.output(p, b, head, d);
                }
                if (!tensors.log_sum_exp.empty()) {
                    tensors.log_sum_exp(b, head, row) = static_cast<sum_type<T>>(p.log_sum_exp);
                }
            }
        }
    }
    output.store(tensors.output);
}

template <class Real, class T, class Mask, class Sink>
void backward(const attention_tensors<T>& tensors, const attention_gradients<T>& gradients, const Mask& mask,
              const Sink& sink, const attention_options& options) {
    const detail::problem<Real, T, Mask, Sink> problem(tensors, mask, sink, options);
    const index_t kv_heads = tensors.key.extents[2];
    detail::accumulator<Real, 4> d_query(tensors.query);
    detail::accumulator<Real, 4> d_key(tensors.key);
    detail::accumulator<Real, 4> d_value(tensors.key);
    detail::accumulator<Real, 1> d_sink_logits(view(static_cast<Real*>(nullptr), problem.heads()));
    detail::accumulator<Real, 2> d_sink_keys(view(static_cast<Real*>(nullptr), kv_heads, problem.head_dim()));
    detail::accumulator<Real, 2> d_sink_values(view(static_cast<Real*>(nullptr), kv_heads, problem.head_dim()));
    for (index_t b = 0; b < problem.batch(); ++b) {
        for (index_t head = 0; head < problem.heads(); ++head) {
            const index_t kv = problem.kv_head(head);
            for (index_t row = 0; row < problem.queries(b); ++row) {
                const detail::row_softmax<Real> p = problem.softmax(b, head, row);
                const T* query = tensors.query.pointer(b, row, head);
                const T* d_output = gradients.output.pointer(b, row, head);
                const auto dot = [&](const auto* value) {
                    Real sum = 0;
                    for (index_t d = 0; d < problem.head_dim(); ++d) {
                        sum += static_cast<Real>(d_output[d]) * static_cast<Real>(value[d]);
                    }
                    return sum;
                };
                std::vector<Real> dp(p.keys.size());
                for (std::size_t k = 0; k < dp.size(); ++k) {
                    dp[k] = dot(tensors.value.pointer(b, p.keys[k].position, kv));
                }
                Real sink_dp = 0;
                if constexpr (Sink::has_value) {
                    sink_dp = dot(sink.value(kv));
                }
                Real delta = 0; // output · output gradient = Σ P · dP
                for (index_t d = 0; d < problem.head_dim(); ++d) {
                    delta += problem.output(p, b, head, d) * static_cast<Real>(d_output[d]);
                }
                const Real dz = p.sees_sink ? p.sink_probability * (sink_dp - delta) * p.sink_slope : 0;
                d_sink_logits(head) += dz;
                for (index_t d = 0; d < problem.head_dim(); ++d) {
                    for (std::size_t k = 0; k < dp.size(); ++k) {
                        const detail::visible_key<Real>& seen = p.keys[k];
                        const Real ds = seen.probability * (dp[k] - delta) * seen.slope * problem.scale();
                        d_query(b, row, head, d) += ds * static_cast<Real>(tensors.key(b, seen.position, kv, d));
                        d_key(b, seen.position, kv, d) += ds * static_cast<Real>(query[d]);
                        d_value(b, seen.position, kv, d) += seen.probability * static_cast<Real>(d_output[d]);
                    }
                    if (!p.sees_sink) {
                        continue;
                    }
                    if constexpr (Sink::has_key) {
                        d_query(b, row, head, d) += dz * problem.scale() * static_cast<Real>(sink.key(kv)[d]);
                        d_sink_keys(kv, d) += dz * problem.scale() * static_cast<Real>(query[d]);
                    }
                    d_sink_values(kv, d) += p.sink_probability * static_cast<Real>(d_output[d]);
                }
            }
        }
    }
    d_query.store(gradients.query);
    d_key.store(gradients.key);
    d_value.store(gradients.value);
    d_sink_logits.store(gradients.sink_logits);
    d_sink_keys.store(gradients.sink_keys);
    d_sink_values.store(gradients.sink_values);
}

template <class Real, class T, class Mask, class Sink>
void received(const attention_tensors<T>& tensors, tensor_view<sum_type<T>, 3> received, const Mask& mask,
              const Sink& sink, const attention_options& options) {
    const detail::problem<Real, T, Mask, Sink> problem(tensors, mask, sink, options);
    detail::accumulator<Real, 3> sums(received);
    for (index_t b = 0; b < problem.batch(); ++b) {
        for (index_t head = 0; head < problem.heads(); ++head) {
            for (index_t row = 0; row < problem.queries(b); ++row) {
                const detail::row_softmax<Real> p = problem.softmax(b, head, row);
                for (const auto& seen : p.keys) {
                    sums(b, head, seen.position) += seen.probability;
                }
            }
        }
    }
    sums.store(received);
}

} // namespace detail

/// attention_forward, computed in Real.
template <class Real = double, class T, class Mask, class Sink = no_sink>
void attention_forward(const attention_tensors<T>& tensors, const Mask& mask, const Sink& sink = {},
                       const attention_options& options = {}) {
    unmask::detail::check_attention_policies<Mask, Sink>();
    if constexpr (unmask::detail::attention_policies<Mask, Sink>) {
        unmask::detail::check_forward(tensors, mask, sink, options);
        detail::forward<Real>(tensors, mask, sink, options);
    }
}

/// attention_backward, computed in Real. Recomputes the forward pass: output and log_sum_exp are not read.
template <class Real = double, class T, class Mask, class Sink = no_sink>
void attention_backward(const attention_tensors<T>& tensors, const attention_gradients<T>& gradients, const Mask& mask,
                        const Sink& sink = {}, const attention_options& options = {}) {
    unmask::detail::check_attention_policies<Mask, Sink>();
    if constexpr (unmask::detail::attention_policies<Mask, Sink>) {
        unmask::detail::check_backward(tensors, gradients, mask, sink, options);
        detail::backward<Real>(tensors, gradients, mask, sink, options);
    }
}

/// attention_received, computed in Real. Recomputes the log-sum-exp: log_sum_exp is not read.
template <class Real = double, class T, class Mask, class Sink = no_sink>
void attention_received(const attention_tensors<T>& tensors, const tensor_view<sum_type<T>, 3>& received,
                        const Mask& mask, const Sink& sink = {}, const attention_options& options = {}) {
    unmask::detail::check_attention_policies<Mask, Sink>();
    if constexpr (unmask::detail::attention_policies<Mask, Sink>) {
        unmask::detail::check_received(tensors, received, mask, sink, options);
        detail::received<Real>(tensors, received, mask, sink, options);
    }
}

} // namespace unmask::inline UNMASK_ABI_NAMESPACE::reference
