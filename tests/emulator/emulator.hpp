// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// What tests see of the emulator, which runs CUDA kernels on the host: settings, faults, counts and device memory.
//
// A CUDA thread is a fiber. Kernels are ordinary functions, compiled against the second implementation of
// unmask/cuda/runtime/device.cuh and runtime.cuh under include/, and with -fsanitize=thread, whose hooks are the
// emulator's own. One thread of the host at a time launches kernels and allocates memory.
//
// Not seen are mistakes in the original device.cuh itself, races between blocks in device memory, accesses by functions
// that are not watched (memcpy, where the compiler calls it), and the GPU's errors of rounding.
namespace emulator {

/// When the bytes of an asynchronous copy arrive.
enum class copies {
    late,   // at the wait
    early,  // when the copy is issued
    random, // one or the other, by group of copies
};

struct settings {
    /// Which of the threads that can go on does, and what else is random.
    unsigned seed = 1;
    emulator::copies copies = copies::late;
    /// How many blocks run at once.
    int os_threads = 1;
    /// What the emulated device is.
    int multiprocessors = 4;
    int cache_bytes = 64 * 1024;
    bool tensor_cores = true;
    std::size_t shared_bytes_a_block = 227 * 1024;
    std::size_t shared_bytes_a_multiprocessor = 228 * 1024;
};

/// The settings in force.
const settings& current_settings();

/// Puts settings in force until the end of the scope.
class scoped_settings {
public:
    explicit scoped_settings(const settings& wanted);
    scoped_settings(const scoped_settings&) = delete;
    scoped_settings& operator=(const scoped_settings&) = delete;
    ~scoped_settings();

private:
    settings before_;
};

enum class fault_kind {
    race,           // two threads touch the same bytes of shared memory, one writes, and no barrier orders them
    in_flight,      // bytes are touched that an asynchronous copy is still bringing
    uninitialised,  // bytes of shared memory are read that nobody wrote
    out_of_bounds,  // of the block's shared memory, or of an allocation
    use_after_free, // of an allocation
    misaligned,     // an address that must be a multiple of 16 is not
    divergence,     // threads meet at different calls
    stuck,          // threads wait for others that have finished or wait elsewhere
    host_access,    // the host touches device memory; the next launch throws it
};

/// A kernel has done what it must not; its block was abandoned. what() names the kind, block, threads and lines.
class fault : public std::runtime_error {
public:
    fault(fault_kind kind, const std::string& what) : std::runtime_error(what), kind_(kind) {}

    [[nodiscard]] fault_kind kind() const noexcept { return kind_; }

private:
    fault_kind kind_;
};

/// What kernels have done, in all their threads. Set it to {} to start anew.
struct counters {
    std::int64_t launches = 0;
    std::int64_t blocks = 0;
    std::int64_t barriers = 0;       // a block's
    std::int64_t multiply_adds = 0;  // a warp's
    std::int64_t matrix_loads = 0;   // a warp's
    std::int64_t copies = 0;         // asynchronous, of 16 bytes that were valid
    std::int64_t invalid_copies = 0; // those that wrote zeros
};
counters& counts();

/// Device memory, aligned to 256 bytes and filled with NaN, or null if there is no more.
void* allocate(std::size_t bytes);
void release(void* memory) noexcept;
/// How many allocations have not been released.
int live_allocations();
/// Copies that the host may make. Throw fault if [device, device + bytes) is not inside a live allocation.
void copy_to_device(void* device, const void* host, std::size_t bytes);
void copy_to_host(void* host, const void* device, std::size_t bytes);

/// An array in device memory. What is not given is NaN.
template <class T>
class buffer {
public:
    explicit buffer(std::size_t size) : size_(size), data_(static_cast<T*>(allocate(size * sizeof(T)))) {
        if (data_ == nullptr) {
            throw std::bad_alloc();
        }
    }
    explicit buffer(const std::vector<T>& values) : buffer(values.size()) { assign(values); }
    buffer(buffer&& other) noexcept
        : size_(std::exchange(other.size_, 0)), data_(std::exchange(other.data_, nullptr)) {}
    buffer& operator=(buffer other) noexcept {
        std::swap(size_, other.size_);
        std::swap(data_, other.data_);
        return *this;
    }
    ~buffer() {
        if (data_ != nullptr) {
            release(data_);
        }
    }

    /// An address for kernels; the host must not follow it.
    [[nodiscard]] T* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }

    /// Overwrites the first values.size() elements.
    void assign(const std::vector<T>& values) { copy_to_device(data_, values.data(), values.size() * sizeof(T)); }
    [[nodiscard]] std::vector<T> to_host() const {
        std::vector<T> values(size_);
        copy_to_host(values.data(), data_, size_ * sizeof(T));
        return values;
    }

private:
    std::size_t size_;
    T* data_;
};

} // namespace emulator
