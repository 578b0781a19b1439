// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// All kinds of models, compiled once: who uses them sees one type, `predictor`.

#include "predictor.hpp"

#include <numeric>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <unmask/mask/shadow_block.hpp>

#include "encoder_memory.hpp"
#include "text_encoder.hpp"
#include "variant.hpp"

namespace language_model {

namespace {

/// The predictor of one sink policy. Keeps the memory of a pass for every worker.
template <class Sink>
class predictor_of final : public predictor {
public:
    predictor_of(const model_card& card, index_t sinks, std::vector<float> weights, int workers, index_t longest)
        : shape_(card.shape), weights_(std::move(weights)),
          encoder_(card.shape, sinks, bind<Sink>(card.shape, sinks, weights_.data()), longest),
          workers_(static_cast<std::size_t>(workers), worker_memory(card.shape)) {}

    [[nodiscard]] text_store make_store() const override { return encoder_.sink_store(); }

    [[nodiscard]] text_cache make_cache(index_t block_length) const override {
        text_cache cache({unmask::block{block_length}, 0, encoder_.sinks()}, shape_.layers, shape_.heads,
                         shape_.head_dim());
        for (index_t layer = 0; layer < shape_.layers; ++layer) {
            cache.write(layer, 0, encoder_.sink_store().key(layer, encoder_.sinks()),
                        encoder_.sink_store().value(layer, encoder_.sinks()));
        }
        cache.keep(encoder_.sinks());
        return cache;
    }

    [[nodiscard]] index_t text_length(const text_store& store) const override {
        return store.length() - encoder_.sinks();
    }
    [[nodiscard]] index_t text_length(const text_cache& cache) const override {
        return cache.length() - encoder_.sinks();
    }

    void predict(const unmask::cpu_executor& exec, int worker, std::span<const token_t> tokens, unmask::range run,
                 text_store& store, std::span<const index_t> positions, matrix logits) override {
        if (run == unmask::range{0, std::ssize(tokens)}) {
            store.truncate(encoder_.sinks());
        }
        encoder_memory& memory = start(worker);
        const row_range rows = add(tokens, run.begin, run.end, memory);
        encoder_.run(exec, mask_of(std::ssize(tokens), {}), encoder_.sinks() + std::ssize(tokens), store, memory);
        write_logits(worker, positions, run.begin, rows, logits);
    }

    void predict(const unmask::cpu_executor& exec, int worker, std::span<const token_t> tokens,
                 std::span<const index_t> positions, matrix logits, unmask::range verified,
                 matrix verified_logits) override {
        worker_memory& own = workers_[static_cast<std::size_t>(worker)];
        encoder_memory& memory = start(worker);
        const index_t length = std::ssize(tokens);
        const index_t shadows = verified.end - verified.begin;
        const row_range rows = add(tokens, 0, length, memory);
        row_range shadow_rows{};
        if (shadows > 0) {
            own.masks.assign(static_cast<std::size_t>(shadows), static_cast<token_t>(shape_.vocabulary));
            shadow_rows = encoder_.add(own.masks, verified.begin, encoder_.sinks() + length, memory);
        }
        text_store& store = own.store ? *own.store : own.store.emplace(make_store());
        encoder_.run(exec, mask_of(length, verified), encoder_.sinks() + length + shadows, store, memory);
        write_logits(worker, positions, 0, rows, logits);
        own.positions.resize(static_cast<std::size_t>(shadows));
        std::iota(own.positions.begin(), own.positions.end(), verified.begin);
        write_logits(worker, own.positions, verified.begin, shadow_rows, verified_logits);
    }

    void predict(const unmask::cpu_executor& exec, int worker, std::span<const token_t> tokens, text_cache& cache,
                 std::span<const index_t> positions, matrix logits) override {
        encoder_memory& memory = start(worker);
        const index_t begin = text_length(cache);
        const row_range rows = add(tokens, begin, std::ssize(tokens), memory);
        encoder_.run(exec, cache.mask(), encoder_.sinks() + std::ssize(tokens), cache, memory);
        write_logits(worker, positions, begin, rows, logits);
    }

    void keep(const unmask::cpu_executor& exec, int worker, std::span<const token_t> tokens,
              text_cache& cache) override {
        predict(exec, worker, tokens, cache, {}, {});
        cache.keep(encoder_.sinks() + std::ssize(tokens));
    }

    void clear(text_cache& cache) const override { cache.truncate(encoder_.sinks()); }

private:
    struct worker_memory {
        explicit worker_memory(const model_shape& shape) : pass(shape) {}

        encoder_memory pass;
        std::optional<text_store> store; ///< of a text with a shadow block, which nobody else needs
        std::vector<token_t> masks;
        std::vector<index_t> positions;
        std::vector<index_t> rows;
    };

    encoder_memory& start(int worker) {
        encoder_memory& memory = workers_[static_cast<std::size_t>(worker)].pass;
        memory.clear();
        return memory;
    }

    row_range add(std::span<const token_t> tokens, index_t begin, index_t end, encoder_memory& memory) const {
        const auto part = tokens.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
        return encoder_.add(part, begin, encoder_.sinks() + begin, memory);
    }

    [[nodiscard]] shadow_mask mask_of(index_t length, unmask::range shadowed) const {
        return {{length, shadowed.begin, shadowed.end - shadowed.begin}, 0, encoder_.sinks()};
    }

    // The logits of some positions, of which `begin` is in the first of `range`.
    void write_logits(int worker, std::span<const index_t> positions, index_t begin, const row_range& range,
                      matrix logits) {
        worker_memory& own = workers_[static_cast<std::size_t>(worker)];
        own.rows.clear();
        for (const index_t position : positions) {
            own.rows.push_back(range.first_row + position - begin);
        }
        encoder_.predict(own.rows, own.pass, logits);
    }

    model_shape shape_;
    std::vector<float> weights_;
    text_encoder<Sink> encoder_;
    std::vector<worker_memory> workers_;
};

} // namespace

std::unique_ptr<predictor> load_predictor(const safetensors_file& file, const model_card& card, int workers,
                                          index_t longest) {
    use_one_blas_thread();
    return with_variant(card.sink, card.shape, [&](const auto& model) -> std::unique_ptr<predictor> {
        using sink = typename std::remove_cvref_t<decltype(model)>::sink_type;
        return std::make_unique<predictor_of<sink>>(card, model.sinks(), weights_of(file, model.places()), workers,
                                                    longest);
    });
}

} // namespace language_model
