// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "races.hpp"

#include <algorithm>
#include <string>

#include "warp.hpp"

namespace ptx {

void shared_watch::begin(std::uint64_t bytes, std::size_t warps) {
    bytes_.assign(bytes, {});
    warp_epochs_.assign(warps, 1);
    epoch_ = 1;
}

bool shared_watch::is_unordered(const touch& before, const touch& now) const {
    if (before.epoch != epoch_) {
        return false;
    }
    return before.warp != now.warp || (before.lane != now.lane && before.warp_epoch == now.warp_epoch);
}

void shared_watch::see(const warp& w, const instruction& i, int lane, std::uint64_t address, std::uint64_t bytes,
                       access_kind kind) {
    const touch now{epoch_, warp_epochs_[static_cast<std::size_t>(w.index)], static_cast<std::int16_t>(w.index),
                    static_cast<std::int16_t>(lane)};
    const auto begin = bytes_.begin() + static_cast<std::ptrdiff_t>(address);
    const bool reads = kind == access_kind::read || kind == access_kind::read_some;
    const bool is_known =
        kind == access_kind::read_some && std::any_of(begin, begin + static_cast<std::ptrdiff_t>(bytes),
                                                      [](const watched_byte& b) { return b.initialised; });
    for (std::uint64_t at = address; at < address + bytes; ++at) {
        watched_byte& b = bytes_[at];
        const auto fail = [&](fault_kind fault, const std::string& what) {
            w.fail(fault, i, lane, what + ", at byte " + std::to_string(at) + " of shared memory");
        };
        const auto race = [&](const char* what, const touch& before) {
            const auto whose = [](std::int16_t number) { return number == several ? "?" : std::to_string(number); };
            fail(fault_kind::race, std::string("race: ") + what + " (warp " + whose(before.warp) + ", lane " +
                                       whose(before.lane) + "), and no barrier lies between");
        };
        if (b.in_flight) {
            fail(fault_kind::in_flight, "in flight: an asynchronous copy that nobody has waited for");
        }
        if (is_unordered(b.written, now)) {
            race("another thread wrote this", b.written);
        }
        if (reads) {
            if (!b.initialised && !is_known) {
                fail(fault_kind::uninitialised, "uninitialised: nobody wrote this");
            }
            const bool first = b.read.epoch != epoch_;
            const bool same_warp = first || b.read.warp == now.warp;
            const bool same_lane = first || b.read.lane == now.lane ||
                                   (same_warp && b.read.warp_epoch != now.warp_epoch); // earlier ones are ordered
            b.read = {epoch_, now.warp_epoch, same_warp ? now.warp : several, same_lane ? now.lane : several};
        } else {
            if (is_unordered(b.read, now)) {
                race("another thread read this", b.read);
            }
            b.written = now;
            b.initialised = true;
            b.in_flight = kind == access_kind::copy;
        }
    }
}

void shared_watch::landed(const warp& w, std::uint32_t address, std::uint32_t bytes) {
    for (std::uint32_t at = address; at < address + bytes; ++at) {
        bytes_[at].in_flight = false;
        bytes_[at].written.epoch = epoch_;
        bytes_[at].written.warp_epoch = warp_epochs_[static_cast<std::size_t>(w.index)];
    }
}

} // namespace ptx
