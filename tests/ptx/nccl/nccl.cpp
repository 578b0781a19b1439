// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Stands in for NCCL on the machine: ranks are threads of one process, and messages are copied in the order of streams.
// A group ends when all of its messages have arrived, here and there: what would wait for ever with NCCL, which has no
// room for messages that nobody takes, does so here. A communicator that is aborted is an error for all others of its
// ranks.

#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <nccl.h>

#include "../device_memory.hpp"
#include "../runtime/errors.hpp"
#include "../runtime/streams.hpp"

namespace {

// A message at the sender's; the receiver copies it.
struct message {
    const void* data;
    std::size_t bytes;
    bool taken = false;
};

// What the ranks of a communicator share.
struct group {
    std::mutex mutex;
    std::condition_variable changed;
    std::map<std::pair<int, int>, std::vector<std::shared_ptr<message>>> way{}; // from, to: those that are not taken
    int joined = 0;                                                             // ranks that have come so far
    ncclResult_t state = ncclSuccess;

    // Blocks until all ranks have come.
    void join(int ranks) {
        std::unique_lock lock(mutex);
        ++joined;
        changed.notify_all();
        changed.wait(lock, [&] { return joined >= ranks; });
    }
    void fail(ncclResult_t code) {
        const std::lock_guard lock(mutex);
        state = state == ncclSuccess ? code : state;
        changed.notify_all();
    }
};

std::mutex groups_mutex;
std::map<std::string, std::weak_ptr<group>> groups; // by their ids
int ids = 0;

std::shared_ptr<group> group_of(const ncclUniqueId& id) {
    const std::lock_guard lock(groups_mutex);
    std::weak_ptr<group>& known = groups[id.internal];
    auto found = known.lock();
    if (!found) {
        known = found = std::make_shared<group>();
    }
    return found;
}

} // namespace

struct ncclComm {
    std::shared_ptr<group> all;
    int rank;
    int ranks;
};

namespace {

struct transfer {
    ncclComm_t comm;
    cudaStream_t stream;
    bool is_sent;
    int peer;
    void* data;
    std::size_t bytes;
};
thread_local int open_groups = 0;
thread_local std::vector<transfer> in_group;
thread_local std::string last_error;

ncclResult_t refuse(ncclResult_t code, const std::string& why) {
    last_error = why;
    return code;
}

void copy(void* to, const void* from, std::size_t bytes) {
    char* const target = ptx::device_memory::get().reach(to, bytes);
    const char* const source = ptx::device_memory::get().reach(from, bytes);
    if (ptx::has_faulted()) {
        return;
    }
    if (target == nullptr || source == nullptr) {
        ptx::report(ptx::fault(ptx::fault_kind::address, "a message leaves an allocation"));
        return;
    }
    std::memmove(target, source, bytes);
}

// Does the transfers of one communicator and stream; by the stream.
void run(group& all, int rank, const std::vector<transfer>& transfers) {
    std::unique_lock lock(all.mutex);
    std::vector<std::shared_ptr<message>> sent;
    for (const transfer& each : transfers) {
        if (each.is_sent) {
            sent.push_back(std::make_shared<message>(message{each.data, each.bytes}));
            all.way[{rank, each.peer}].push_back(sent.back());
        }
    }
    all.changed.notify_all();
    for (const transfer& each : transfers) {
        if (each.is_sent) {
            continue;
        }
        auto& way = all.way[{each.peer, rank}];
        all.changed.wait(lock, [&] { return all.state != ncclSuccess || !way.empty(); });
        if (all.state != ncclSuccess) {
            return;
        }
        if (way.front()->bytes != each.bytes) { // NCCL would hang, or write where it must not
            ptx::report(ptx::fault(ptx::fault_kind::illegal, "a message of " + std::to_string(way.front()->bytes) +
                                                                 " bytes is received as " +
                                                                 std::to_string(each.bytes)));
            all.state = ncclInternalError;
            all.changed.notify_all();
            return;
        }
        copy(each.data, way.front()->data, each.bytes);
        way.front()->taken = true;
        way.erase(way.begin());
        all.changed.notify_all();
    }
    for (const auto& each : sent) {
        all.changed.wait(lock, [&] { return all.state != ncclSuccess || each->taken; });
    }
}

ncclResult_t add(const transfer& wanted) {
    if (wanted.peer < 0 || wanted.peer >= wanted.comm->ranks) {
        return refuse(ncclInvalidArgument, "there is no rank " + std::to_string(wanted.peer));
    }
    if (ptx::device_memory::get().reach(wanted.data, wanted.bytes) == nullptr) {
        return refuse(ncclInvalidArgument, "a message leaves device memory");
    }
    in_group.push_back(wanted);
    if (open_groups > 0) {
        return ncclSuccess;
    }
    ++open_groups;
    return ncclGroupEnd();
}

} // namespace

extern "C" {

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
    const std::lock_guard lock(groups_mutex);
    *id = {};
    std::strcpy(id->internal, std::to_string(++ids).c_str());
    return ncclSuccess;
}
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
    if (rank < 0 || rank >= ranks) {
        return refuse(ncclInvalidArgument, "rank " + std::to_string(rank) + " of " + std::to_string(ranks));
    }
    *comm = new ncclComm{group_of(id), rank, ranks};
    (*comm)->all->join(ranks);
    return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    delete comm;
    return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
    comm->all->fail(ncclRemoteError);
    delete comm;
    return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
    const std::lock_guard lock(comm->all->mutex);
    *state = comm->all->state;
    return ncclSuccess;
}
ncclResult_t ncclCommUserRank(ncclComm_t comm, int* rank) {
    *rank = comm->rank;
    return ncclSuccess;
}
ncclResult_t ncclCommCount(ncclComm_t comm, int* ranks) {
    *ranks = comm->ranks;
    return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
    ++open_groups;
    return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
    if (open_groups == 0) {
        return refuse(ncclInvalidUsage, "no group has been started");
    }
    if (--open_groups > 0) {
        return ncclSuccess;
    }
    std::map<std::pair<ncclComm_t, cudaStream_t>, std::vector<transfer>> apart;
    for (const transfer& each : std::exchange(in_group, {})) {
        apart[{each.comm, each.stream}].push_back(each);
    }
    for (const auto& [of, transfers] : apart) {
        // The group outlives the communicator, which its rank may destroy meanwhile.
        const auto work = [all = of.first->all, rank = of.first->rank, transfers] { run(*all, rank, transfers); };
        if (ptx::add(of.second, ptx::node_kind::copy, work) != cudaSuccess) {
            return refuse(ncclUnhandledCudaError, "the stream takes no work");
        }
    }
    return ncclSuccess;
}
ncclResult_t ncclSend(const void* from, std::size_t count, ncclDataType_t type, int to, ncclComm_t comm,
                      cudaStream_t stream) {
    return type == ncclUint8 ? add({comm, stream, true, to, const_cast<void*>(from), count})
                             : refuse(ncclInvalidArgument, "the stand-in knows bytes alone");
}
ncclResult_t ncclRecv(void* to, std::size_t count, ncclDataType_t type, int from, ncclComm_t comm,
                      cudaStream_t stream) {
    return type == ncclUint8 ? add({comm, stream, false, from, to, count})
                             : refuse(ncclInvalidArgument, "the stand-in knows bytes alone");
}

const char* ncclGetErrorString(ncclResult_t code) {
    switch (code) {
    case ncclSuccess:
        return "no error";
    case ncclInvalidArgument:
        return "invalid argument";
    case ncclInvalidUsage:
        return "invalid usage";
    case ncclRemoteError:
        return "remote process exited or there was a network error";
    default:
        return "internal error";
    }
}
const char* ncclGetLastError(ncclComm_t /*comm*/) {
    return last_error.c_str();
}

} // extern "C"
