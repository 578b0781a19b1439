// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/detail/step/model_canvas.hpp>
#include <unmask/sampler/detail/step/unwritten_row.hpp>
#include <unmask/sampler/detail/stopwatch.hpp>
#include <unmask/sampler/logits_stream.hpp>
#include <unmask/sampler/statistics.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// A sequence that a call has candidates of: which of them, and the block that they are in.
struct asked_sequence {
    position_range block;
    std::size_t first = 0;
    std::size_t last = 0;
    index_t calls = 0; // of this block, before this one
};

// Calls a model, keeps the logits that it gave, and finds those of a candidate among them; of a model that streams it
// keeps what the stream made of them. With `Twins`, the same rows of every sequence's twin are asked for in the same
// call.
template <class Model, class Cache, bool Verifies, bool Twins>
class model_call {
public:
    using logit_type = logit_of<Model>;
    static constexpr bool streams = only_streams<Model>;

    model_call(Model& model, statistics& counts) : model_(model), counts_(counts) {}

    // expect(stream, places) is called before a model that streams: it says what is wanted of each row, places[i] being
    // that of candidate i.
    template <class Expect>
    void operator()(const model_canvas<Twins>& pages, index_t sequences, std::span<const candidate> candidates,
                    std::span<const asked_sequence> asked, const Cache& cache, [[maybe_unused]] const Expect& expect) {
        const canvas& page = pages.read();
        size_ = static_cast<std::size_t>(page.vocabulary().size);
        list_rows(candidates);
        list_ranges(page, candidates, asked, cache);
        if constexpr (Twins) {
            append_twins(sequences);
        }
        const std::size_t count = rows_.size() + verified_rows_;
        if constexpr (streams) {
            stream_.emplace(page.vocabulary());
            stream_->reset(static_cast<index_t>(count));
            expect(*stream_, std::span<const std::size_t>(places_.data(), places_.size()));
            timed([&] { model_.denoise(page, rows(), *stream_); });
        } else {
            logits_.resize(std::max(logits_.size(), count * size_));
            for (std::size_t i = 0; i < count; ++i) {
                mark_unwritten(logits_.data() + i * size_, page.vocabulary().size, page.vocabulary().mask);
            }
            timed([&] { denoise(page, view(logits_.data(), count, size_)); });
        }
        ++counts_.calls;
        counts_.rows += static_cast<index_t>(count);
        counts_.nfe.denoise += std::ssize(asked);
        counts_.nfe.verify += Verifies ? std::ssize(asked) : 0;
        counts_.nfe.unconditional += Twins ? std::ssize(asked) : 0;
    }

    // For a block_denoiser: calls keep(model, range) for a sequence and its twin, which is `sequences` further.
    template <class Keep>
    void keep(position_range range, index_t sequences, const Keep& keep) {
        timed([&] {
            keep(model_, range);
            if constexpr (Twins) {
                range.sequence += sequences;
                keep(model_, range);
            }
        });
    }

    // What is wrong with a candidate's row in the stream, if anything; what the stream made of it, if nothing.
    [[nodiscard]] std::string fault(std::size_t candidate) const {
        return stream_->fault(static_cast<index_t>(places_[candidate]));
    }
    [[nodiscard]] streamed_row streamed(std::size_t candidate) const {
        return stream_->result(static_cast<index_t>(places_[candidate]));
    }

    [[nodiscard]] std::span<logit_type> logits(std::size_t candidate) { return row_of(places_[candidate]); }
    // The same of its twin.
    [[nodiscard]] std::span<const logit_type> unconditional(std::size_t candidate) {
        return row_of(places_[candidate] + rows_.size() / 2);
    }

private:
    [[nodiscard]] std::span<const row> rows() const { return {rows_.data(), rows_.size()}; }
    std::span<logit_type> row_of(std::size_t place) { return {logits_.data() + place * size_, size_}; }

    template <class Work>
    void timed(const Work& work) {
        const stopwatch watch;
        work();
        counts_.seconds_in_model += watch.seconds();
    }

    void list_rows(std::span<const candidate> candidates) {
        rows_.clear();
        places_.resize(candidates.size());
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            if (Verifies && candidates[i].state == position_state::committed) {
                continue; // a row of a shadow block
            }
            row asked = candidates[i].where;
            if constexpr (shifts_logits<std::remove_const_t<Model>>()) {
                asked.position = std::max<index_t>(asked.position - 1, 0);
            }
            places_[i] = rows_.size();
            rows_.push_back(asked);
        }
    }

    void list_ranges([[maybe_unused]] const canvas& page, [[maybe_unused]] std::span<const candidate> candidates,
                     [[maybe_unused]] std::span<const asked_sequence> asked, [[maybe_unused]] const Cache& cache) {
        if constexpr (Verifies) {
            verified_.clear();
            verified_rows_ = 0;
            for (const asked_sequence& one : asked) {
                verified_.push_back(one.block);
                for (std::size_t i = one.first; i < one.last; ++i) {
                    if (candidates[i].state == position_state::committed) {
                        const index_t place = candidates[i].where.position - one.block.begin;
                        places_[i] = rows_.size() + verified_rows_ + static_cast<std::size_t>(place);
                    }
                }
                verified_rows_ += static_cast<std::size_t>(one.block.end - one.block.begin);
            }
        }
        if constexpr (is_approximate<Cache>) {
            use_.clear();
            for (const asked_sequence& one : asked) {
                position_range block = one.block;
                if constexpr (shifts_logits<std::remove_const_t<Model>>()) {
                    block.begin = std::max<index_t>(block.begin - 1, 0); // the row that predicts the block's first
                }
                const bool again = cache.refresh_every > 0 && one.calls % cache.refresh_every == 0;
                use_.push_back({cache.recompute(block, page.length(block.sequence)), one.calls == 0 || again});
            }
        }
    }

    void append_twins(index_t sequences) {
        const std::size_t count = rows_.size();
        for (std::size_t i = 0; i < count; ++i) {
            rows_.push_back({rows_[i].sequence + sequences, rows_[i].position});
        }
        if constexpr (is_approximate<Cache>) {
            const std::size_t uses = use_.size();
            for (std::size_t i = 0; i < uses; ++i) {
                cache_use twin = use_[i];
                twin.recompute.sequence += sequences;
                use_.push_back(twin);
            }
        }
    }

    void denoise(const canvas& page, const tensor_view<logit_type, 2>& logits) {
        if constexpr (Verifies) {
            model_.denoise(page, rows(), std::span<const position_range>(verified_.data(), verified_.size()), logits);
        } else if constexpr (is_approximate<Cache>) {
            model_.denoise(page, rows(), std::span<const cache_use>(use_.data(), use_.size()), logits);
        } else {
            model_.denoise(page, rows(), logits);
        }
    }

    Model& model_;
    statistics& counts_;
    std::size_t size_ = 0;
    std::vector<row> rows_;
    std::vector<std::size_t> places_; // of each candidate's row among all
    std::vector<position_range> verified_;
    std::size_t verified_rows_ = 0;
    std::vector<cache_use> use_;
    std::vector<logit_type> logits_;
    std::optional<logits_stream> stream_;
};

} // namespace detail
UNMASK_NAMESPACE_END
