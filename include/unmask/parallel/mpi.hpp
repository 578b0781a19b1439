// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <mpi.h>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/parallel/communication_error.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/same_build.hpp>

// Processes that MPI connects. The only header that needs it: compile with mpicxx, or link MPI::MPI_CXX.

UNMASK_NAMESPACE_BEGIN

/// A communicator whose ranks are processes, over MPI (Open MPI, MPICH and others of MPI 3).
///
/// Failures that MPI reports are thrown as communication_error, which names this rank and MPI's message. MPI lets no
/// rank go on when another has died: mpirun then ends all of them and says which it was. Safe to use from the thread
/// that initialised MPI, or from any one at a time where that gave MPI_THREAD_SERIALIZED.
class mpi_communicator {
public:
    /// The ranks of an MPI communicator, which must outlive nothing: this one works on a copy, so its messages do not
    /// meet others. Collective: all of its ranks make one.
    explicit mpi_communicator(MPI_Comm ranks) {
        MPI_Comm copy = MPI_COMM_NULL;
        MPI_Comm_rank(ranks, &rank_);
        MPI_Comm_size(ranks, &size_);
        check(rank_, "MPI_Comm_dup", MPI_Comm_dup(ranks, &copy));
        comm_ = std::shared_ptr<const MPI_Comm>(new MPI_Comm(copy), [](const MPI_Comm* owned) {
            int finalized = 0;
            MPI_Finalized(&finalized);
            if (finalized == 0) {
                MPI_Comm last = *owned;
                MPI_Comm_free(&last);
            }
            delete owned;
        });
        check(rank_, "MPI_Comm_set_errhandler", MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN));
    }

    /// In [0, size()).
    [[nodiscard]] int rank() const { return rank_; }
    /// How many processes there are.
    [[nodiscard]] int size() const { return size_; }

    /// Messages under way.
    class request {
    public:
        /// Moved, the messages are those of the new request.
        request(request&& other) noexcept
            : rank_(other.rank_), from_(other.from_), under_way_(other.under_way_),
              pieces_(std::exchange(other.pieces_, {})) {}
        request& operator=(request&&) = delete;
        ~request() { // given up
            for (piece& each : pieces_) {
                MPI_Cancel(&each.handle);
                MPI_Request_free(&each.handle);
            }
            end();
        }

        /// Blocks until MPI has received what is received, and needs what is sent no more.
        void wait() {
            for (piece& each : pieces_) {
                MPI_Status status{};
                const int code = MPI_Wait(&each.handle, &status);
                if (code != MPI_SUCCESS) {
                    end();
                    check(rank_, "MPI_Wait", code);
                }
                int count = 0;
                MPI_Get_count(&status, MPI_BYTE, &count);
                if (each.received >= 0 && count != each.received) {
                    end();
                    throw communication_error(from_, "sent " + std::to_string(count) + " bytes, rank " +
                                                         std::to_string(rank_) + " expected " +
                                                         std::to_string(each.received));
                }
            }
            end();
        }

    private:
        friend class mpi_communicator;
        struct piece {
            MPI_Request handle;
            int received; // bytes; −1: sent
        };

        request(int rank, int from, std::shared_ptr<std::ptrdiff_t> under_way)
            : rank_(rank), from_(from), under_way_(std::move(under_way)) {}

        void add(const piece& each) {
            pieces_.push_back(each);
            ++*under_way_;
        }
        void end() {
            *under_way_ -= std::ssize(pieces_);
            pieces_.clear();
        }

        int rank_;
        int from_;
        std::shared_ptr<std::ptrdiff_t> under_way_; // of the communicator
        std::vector<piece> pieces_{};
    };

    /// As the concept says.
    [[nodiscard]] request exchange(int to, std::span<const std::byte> sent, int from,
                                   std::span<std::byte> received) const {
        request result(rank_, from, under_way_);
        for_each_piece(received.size(), [&](std::size_t first, int count) {
            MPI_Request handle = MPI_REQUEST_NULL;
            check(rank_, "MPI_Irecv", MPI_Irecv(received.data() + first, count, MPI_BYTE, from, tag, *comm_, &handle));
            result.add({handle, count});
        });
        for_each_piece(sent.size(), [&](std::size_t first, int count) {
            MPI_Request handle = MPI_REQUEST_NULL;
            check(rank_, "MPI_Isend", MPI_Isend(sent.data() + first, count, MPI_BYTE, to, tag, *comm_, &handle));
            result.add({handle, -1});
        });
        return result;
    }

    /// Lets MPI move messages, which it may do inside its calls alone.
    void progress(std::chrono::nanoseconds most) const {
        const auto end = std::chrono::steady_clock::now() + most;
        while (*under_way_ > 0 && std::chrono::steady_clock::now() < end) {
            int found = 0;
            check(rank_, "MPI_Iprobe", MPI_Iprobe(MPI_ANY_SOURCE, tag, *comm_, &found, MPI_STATUS_IGNORE));
        }
    }

    /// MPI's own, which all_gather calls.
    void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const {
        for_each_piece(mine.size(), [&](std::size_t first, int count) {
            if (first == 0 && static_cast<std::size_t>(count) == mine.size()) {
                check(rank_, "MPI_Allgather",
                      MPI_Allgather(mine.data(), count, MPI_BYTE, all.data(), count, MPI_BYTE, *comm_));
            } else {
                throw invalid_argument("all_gather", "mine.size_bytes()", std::to_string(mine.size()),
                                       "at most 2^30 with MPI");
            }
        });
    }

private:
    static constexpr int tag = 0;

    // MPI counts with int.
    template <class Each>
    static void for_each_piece(std::size_t size, const Each& each) {
        constexpr std::size_t most = std::size_t{1} << 30;
        for (std::size_t first = 0; first < size; first += most) {
            each(first, static_cast<int>(std::min(most, size - first)));
        }
    }

    static void check(int rank, const char* call, int code) {
        if (code != MPI_SUCCESS) {
            char text[MPI_MAX_ERROR_STRING] = {};
            int length = 0;
            MPI_Error_string(code, text, &length);
            throw communication_error(rank, std::string("got from ") + call + ": " + text);
        }
    }

    int rank_ = 0;
    int size_ = 1;
    std::shared_ptr<const MPI_Comm> comm_;
    std::shared_ptr<std::ptrdiff_t> under_way_ = std::make_shared<std::ptrdiff_t>(0); // messages of open requests
};
static_assert(communicator<mpi_communicator>);

/// main for a program of many processes: initialises MPI, checks that all ranks run the same build of the library,
/// calls f(mpi_communicator) and returns what it returns.
///
///     int main(int count, char** arguments) {
///         return unmask::run_mpi(count, arguments, [](const unmask::mpi_communicator& ranks) { … return 0; });
///     }
///
/// If f throws on a rank, that rank says so on standard error, "rank 2 of 4 threw: out of memory", and ends all. Of a
/// communication_error that names another rank, that one is left a second to say it itself.
template <class F>
int run_mpi(int& count, char**& arguments, const F& f) {
    int provided = 0;
    MPI_Init_thread(&count, &arguments, MPI_THREAD_FUNNELED, &provided);
    int rank = 0;
    int size = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    const auto end_all = [&](const char* what) {
        std::fprintf(stderr, "rank %d of %d threw: %s\n", rank, size, what);
        std::fflush(stderr);
        MPI_Abort(MPI_COMM_WORLD, 1);
        return 1;
    };
    int result = 0;
    try {
        const mpi_communicator ranks(MPI_COMM_WORLD);
        check_same_build(ranks);
        result = f(ranks);
    } catch (const communication_error& error) {
        if (error.rank() != rank) {
            std::this_thread::sleep_for(std::chrono::seconds(1));
        }
        return end_all(error.what());
    } catch (const std::exception& error) {
        return end_all(error.what());
    } catch (...) {
        return end_all("what is no std::exception");
    }
    MPI_Finalize();
    return result;
}

UNMASK_NAMESPACE_END
