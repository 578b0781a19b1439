// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
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

// Elements on a cache-line boundary, not initialised.
template <class T>
class raw_buffer {
public:
    raw_buffer() = default;
    explicit raw_buffer(index_t count)
        : data_(static_cast<T*>(::operator new(static_cast<std::size_t>(count) * sizeof(T), line))) {
        static_assert(std::is_trivially_copyable_v<T>);
    }

    raw_buffer(raw_buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
    raw_buffer& operator=(raw_buffer&& other) noexcept {
        std::swap(data_, other.data_);
        return *this;
    }
    ~raw_buffer() { ::operator delete(data_, line); }

    [[nodiscard]] T* data() const { return data_; }

private:
    static constexpr std::align_val_t line{64};

    T* data_ = nullptr; // not a unique_ptr: <memory> takes as long to parse as all kernels of attention
};

using float_buffer = raw_buffer<float>;

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
