// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/same_build.hpp>
#include <unmask/parallel/thread_communicator.hpp>

// Ranks check what they got and count what is wrong: doctest's checks are for one thread.

using namespace unmask;

namespace {

// What run_ranks throws, as text.
template <class F>
std::string complaint(int size, const F& f) {
    try {
        run_ranks(size, f);
    } catch (const communication_error& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST_CASE("all_gather, all_reduce and broadcast give every rank the same") {
    for (const int size : {1, 2, 3, 4, 7}) {
        for (const int count : {0, 1, 2, 5, 100}) { // fewer than ranks, and no multiple of them
            CAPTURE(size);
            CAPTURE(count);
            run_ranks(size, [&](const thread_communicator& c) {
                std::vector<int> mine(static_cast<std::size_t>(count));
                for (std::size_t i = 0; i < mine.size(); ++i) {
                    mine[i] = 1000 * c.rank() + static_cast<int>(i);
                }
                std::vector<int> all(mine.size() * static_cast<std::size_t>(size));
                all_gather(c, std::span<const int>(mine), std::span(all));
                std::vector<int> sums = mine;
                all_reduce_sum(c, std::span(sums));
                std::vector<int> largest = mine;
                all_reduce_max(c, std::span(largest));
                std::vector<int> last = mine;
                broadcast(c, std::span(last), size - 1);
                bool right = true;
                for (int i = 0; i < count; ++i) {
                    const auto at = static_cast<std::size_t>(i);
                    for (int rank = 0; rank < size; ++rank) {
                        right = right && all[static_cast<std::size_t>(rank * count + i)] == 1000 * rank + i;
                    }
                    right = right && sums[at] == 1000 * (size * (size - 1) / 2) + size * i;
                    right = right && largest[at] == 1000 * (size - 1) + i && last[at] == largest[at];
                }
                if (!right) {
                    throw std::logic_error("wrong");
                }
            });
        }
    }
}

TEST_CASE("sums are taken in the order of ranks, and NaN is the largest") {
    run_ranks(4, [](const thread_communicator& c) {
        // Of these, another order gives another sum.
        const std::vector<float> of_ranks{1.0F, 0x1p24F, -0x1p24F, 3.0F};
        const auto own = of_ranks[static_cast<std::size_t>(c.rank())];
        std::vector<float> sums(9, own);
        all_reduce_sum(c, std::span(sums));
        std::vector<float> largest(3, c.rank() == 2 ? std::numeric_limits<float>::quiet_NaN() : own);
        all_reduce_max(c, std::span(largest));
        for (const float sum : sums) {
            if (sum != ((1.0F + 0x1p24F) - 0x1p24F) + 3.0F) {
                throw std::logic_error("another order");
            }
        }
        for (const float each : largest) {
            if (!std::isnan(each)) {
                throw std::logic_error("NaN is lost");
            }
        }
    });
}

TEST_CASE("messages arrive in the order in which they are sent, whenever ranks wait, and all at once") {
    run_ranks(3, [](const thread_communicator& c) {
        const int next = detail::rank_at(c, 1);
        const int before = detail::rank_at(c, -1);
        std::vector<int> sent{10 * c.rank(), 10 * c.rank() + 1, 10 * c.rank() + 2};
        std::vector<int> got(3);
        std::vector<thread_communicator::request> requests;
        for (std::size_t i = 0; i < 3; ++i) {
            requests.push_back(detail::exchange<thread_communicator, int>(
                c, next, std::span<const int>(sent).subspan(i, 1), before, std::span(got).subspan(i, 1)));
        }
        for (const std::size_t i : {2U, 0U, 1U}) {
            requests[i].wait();
        }
        sent.assign(3, -1); // free after wait
        // A rank may send to itself, and only send or only receive.
        std::vector<int> own{7};
        std::vector<int> back(1);
        auto out = detail::exchange<thread_communicator, int>(c, c.rank(), own, 0, {});
        auto in = detail::exchange<thread_communicator, int>(c, 0, {}, c.rank(), back);
        out.wait();
        own[0] = 8;
        in.wait();
        if (got != std::vector<int>{10 * before, 10 * before + 1, 10 * before + 2} || back[0] != 7) {
            throw std::logic_error("out of order");
        }
    });
}

TEST_CASE("what a rank throws ends all, and names it") {
    const auto everybody_waits = [](const thread_communicator& c) {
        std::vector<int> all(static_cast<std::size_t>(c.size()));
        const std::vector<int> mine{c.rank()};
        for (int i = 0;; ++i) {
            if (c.rank() == 2 && i == 5) {
                throw std::runtime_error("out of luck");
            }
            all_gather(c, std::span<const int>(mine), std::span(all));
        }
    };
    CHECK(complaint(4, everybody_waits) == "rank 2 threw: out of luck");
    CHECK(complaint(2, [](const thread_communicator& c) {
              if (c.rank() == 1) {
                  throw 5; // NOLINT
              }
          }) == "rank 1 threw what is no std::exception");
    // A buffer of a rank that throws with messages under way is never read.
    CHECK(complaint(2, [](const thread_communicator& c) {
              std::vector<int> received(1);
              if (c.rank() == 0) {
                  const auto sent = std::make_unique<std::vector<int>>(1, 3);
                  const auto given_up =
                      detail::exchange<thread_communicator, int>(c, 1, std::span<const int>(*sent), 0, {});
                  throw std::runtime_error("too early");
              }
              detail::exchange<thread_communicator, int>(c, 0, {}, 0, received).wait();
              detail::exchange<thread_communicator, int>(c, 0, {}, 0, received).wait();
          }) == "rank 0 threw: too early");
}

TEST_CASE("a rank that ended, or sent another size, is named") {
    CHECK(complaint(3, [](const thread_communicator& c) {
              if (c.rank() != 1) {
                  std::vector<int> received(1);
                  detail::exchange<thread_communicator, int>(c, 0, {}, 1, received).wait();
              }
          }).find("rank 1 ended, while rank ") != std::string::npos);
    CHECK(complaint(2, [](const thread_communicator& c) {
              std::vector<int> values(c.rank() == 0 ? 3 : 2);
              if (c.rank() == 0) {
                  detail::exchange<thread_communicator, int>(c, 1, values, 0, {}).wait();
              } else {
                  detail::exchange<thread_communicator, int>(c, 0, {}, 0, values).wait();
              }
          }) == "rank 1 threw: rank 0 sent 12 bytes, rank 1 expected 8");
    CHECK_THROWS_WITH_AS(run_ranks(0, [](const thread_communicator&) {}), "run_ranks: size is 0, expected at least 1",
                         invalid_argument);
    CHECK(complaint(2, [](const thread_communicator& c) {
              const std::vector<int> values(1);
              if (c.rank() == 0) {
                  detail::exchange<thread_communicator, int>(c, 2, values, 0, {}).wait();
              }
          }) == "rank 0 threw: exchange: to is 2, expected 0 to 1");
}

TEST_CASE("ranks of different builds are told apart at the start") {
    run_ranks(3, [](const thread_communicator& c) { check_same_build(c); });
    const auto other = [](const thread_communicator& c) { check_same_build(c, c.rank() == 1 ? "v2_avx2" : "v2_avx"); };
    CHECK(complaint(3, other).find("rank 1 runs v2_avx2 of the library, rank 0 v2_avx") != std::string::npos);
}
