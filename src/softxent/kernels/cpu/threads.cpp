#include "threads.hpp"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>

namespace softxent {
namespace {

// Awake this many turns before sleeping: a sleeping thread takes ~50 µs to wake, as long as a row of 131072.
constexpr int SPIN = 4000;

inline void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

int default_threads() {
    if (const char* text = std::getenv("OMP_NUM_THREADS")) {
        if (int count = std::atoi(text); count > 0) return count;
    }
    int count = static_cast<int>(std::thread::hardware_concurrency());
    return count > 0 ? count : 1;
}

struct Pool {
    std::mutex busy;  // held by the thread whose job it is
    std::mutex mutex;
    std::condition_variable wake;
    std::atomic<std::uint64_t> job{0};
    std::atomic<std::int64_t> next{0}, count{0};
    std::atomic<int> working{0}, wanted{0};
    std::atomic<bool> failed{false};
    Task task = nullptr;
    void* context = nullptr;
    int workers = 0;

    void work() {
        for (std::int64_t i; (i = next.fetch_add(1)) < count.load();) try {
                task(context, i);
            } catch (const std::bad_alloc&) {
                failed = true;
            }
    }

    void worker(int id) {
        for (std::uint64_t seen = 0;;) {
            for (int turn = 0; turn < SPIN && job.load() == seen; ++turn) pause();
            if (job.load() == seen) {
                std::unique_lock lock(mutex);
                wake.wait(lock, [&] { return job.load() != seen; });
            }
            seen = job.load();
            if (id < wanted.load()) work();
            working.fetch_sub(1);
        }
    }

    void run(std::int64_t tasks, int threads, Task f, void* c) {
        for (; workers < threads - 1; ++workers) std::thread(&Pool::worker, this, workers).detach();
        task = f, context = c, failed = false;
        next = 0, count = tasks, wanted = threads - 1, working = workers;
        {
            std::lock_guard lock(mutex);
            job.fetch_add(1);
        }
        wake.notify_all();
        work();
        while (working.load() > 0) pause();
    }
};

// Never freed: workers outlive main. A forked child has no workers, so it starts with a pool of its own.
Pool* pool = new Pool;
std::atomic<int> threads{default_threads()};
[[maybe_unused]] const int at_fork = pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });

struct Scratch {
    void* data[slots] = {};
    std::size_t size[slots] = {};
    ~Scratch() {
        for (void* p : data) std::free(p);
    }
};

}  // namespace

void parallel_for(std::int64_t count, Task task, void* context) {
    int wanted = threads.load();
    if (wanted > count) wanted = static_cast<int>(count);
    if (wanted > 1) {
        if (std::unique_lock lock(pool->busy, std::try_to_lock); lock) {
            pool->run(count, wanted, task, context);
            if (pool->failed) throw std::bad_alloc();
            return;
        }
    }
    for (std::int64_t i = 0; i < count; ++i) task(context, i);
}

int num_threads() { return threads; }
void set_num_threads(int count) { threads = count; }

void* scratch(Slot slot, std::size_t bytes) {
    static thread_local Scratch mine;
    if (mine.size[slot] < bytes) {
        std::free(mine.data[slot]);
        bytes = (bytes + 4095) / 4096 * 4096;
        mine.size[slot] = 0;
        mine.data[slot] = std::aligned_alloc(4096, bytes);
        if (!mine.data[slot]) throw std::bad_alloc();
        mine.size[slot] = bytes;
    }
    return mine.data[slot];
}

}  // namespace softxent
