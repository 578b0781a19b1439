// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#if __has_include(<sys/mman.h>)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include <unmask/config.hpp>
#include <unmask/io/file_error.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {

// The bytes of a file, and what keeps them.
struct file_bytes {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> memory;
};

[[noreturn]] inline void unreadable(const std::string& path, const std::string& reason) {
    throw file_error(path, "the file", "not readable" + (reason.empty() ? "" : " (" + reason + ")"), "a file");
}

// Copies a file into memory.
inline file_bytes read_file(const std::string& path) {
    std::error_code error;
    const std::uint64_t size = std::filesystem::file_size(path, error); // no device or directory has one
    std::ifstream file(path, std::ios::binary);
    if (error || !file) {
        unreadable(path, error ? error.message() : "");
    }
    const auto bytes = std::make_shared<std::vector<std::byte>>(size);
    if (!file.read(reinterpret_cast<char*>(bytes->data()), static_cast<std::streamsize>(size))) {
        unreadable(path, "shorter than it was");
    }
    return {*bytes, bytes};
}

#if __has_include(<sys/mman.h>)

// Maps a file into memory: its pages are read when they are touched. It must not be cut short while it is used.
inline file_bytes map_file(const std::string& path) {
    const auto last_error = [] { return std::system_category().message(errno); };
    struct descriptor {
        int number;
        ~descriptor() { ::close(number); }
    };
    const descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)}; // no waiting for a pipe's writer
    if (file.number < 0) {
        unreadable(path, last_error());
    }
    struct stat status{};
    if (::fstat(file.number, &status) != 0) {
        unreadable(path, last_error());
    }
    if (!S_ISREG(status.st_mode)) {
        unreadable(path, "not a regular file");
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size == 0) {
        return {};
    }
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number, 0);
    if (address == MAP_FAILED) {
        unreadable(path, last_error());
    }
    std::shared_ptr<const void> memory(address,
                                       [size](const void* mapped) { ::munmap(const_cast<void*>(mapped), size); });
    return {{static_cast<const std::byte*>(address), size}, std::move(memory)};
}

inline file_bytes open_file(const std::string& path) {
    return map_file(path);
}

#else

inline file_bytes open_file(const std::string& path) {
    return read_file(path);
}

#endif

} // namespace detail

UNMASK_NAMESPACE_END
