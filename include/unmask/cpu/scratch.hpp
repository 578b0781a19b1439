// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <new>
#include <utility>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Hands out pieces of one block of floats, each on a cache-line boundary and not initialised. Over no block at all it
// hands out null pointers and still counts, which tells how large a block is needed.
class arena {
public:
    arena() = default;
    explicit arena(float* block) : block_(block) {}

    template <class Word = float>
    Word* take(index_t count) {
        static_assert(sizeof(Word) == sizeof(float));
        float* const piece = block_ != nullptr ? block_ + used_ : nullptr;
        used_ += (count + line - 1) / line * line;
        return reinterpret_cast<Word*>(piece);
    }

    [[nodiscard]] index_t used() const { return used_; }

private:
    static constexpr index_t line = 16;

    float* block_ = nullptr;
    index_t used_ = 0;
};

// Floats on a cache-line boundary, not initialised.
class float_buffer {
public:
    explicit float_buffer(index_t count)
        : data_(static_cast<float*>(
              ::operator new(static_cast<std::size_t>(count) * sizeof(float), std::align_val_t{64}))) {}

    float_buffer(float_buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
    float_buffer& operator=(float_buffer&& other) noexcept {
        std::swap(data_, other.data_);
        return *this;
    }
    ~float_buffer() { ::operator delete(data_, std::align_val_t{64}); }

    [[nodiscard]] float* data() const { return data_; }

private:
    float* data_; // not a unique_ptr: <memory> takes as long to parse as all kernels of attention
};

// One Space a worker, in one allocation. Space(arena&, arguments…) takes what it needs.
template <class Space>
class worker_spaces {
public:
    template <class... Arguments>
    explicit worker_spaces(int workers, const Arguments&... arguments)
        : size_(needed(arguments...)), memory_(workers * size_) {}

    template <class... Arguments>
    [[nodiscard]] Space of(int worker, const Arguments&... arguments) const {
        arena pieces(memory_.data() + worker * size_);
        return Space(pieces, arguments...);
    }

private:
    template <class... Arguments>
    static index_t needed(const Arguments&... arguments) {
        arena counter;
        Space(counter, arguments...);
        return counter.used();
    }

    index_t size_;
    float_buffer memory_;
};

} // namespace detail
UNMASK_NAMESPACE_END
