#include "threads.hpp"

#include <pthread.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

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

// OMP_NUM_THREADS, or the processors that this process may run on
int default_threads() {
    if (const char* text = std::getenv("OMP_NUM_THREADS"))
        if (long count = std::strtol(text, nullptr, 10); count > 0) return int(std::min<long>(count, MAX_THREADS));
    int count = int(std::thread::hardware_concurrency());
#if defined(__linux__)
    if (cpu_set_t mine; sched_getaffinity(0, sizeof mine, &mine) == 0) count = CPU_COUNT(&mine);
#endif
    return std::clamp(count, 1, MAX_THREADS);
}

struct Worker {
    std::thread::native_handle_type handle;
#if defined(__linux__)
    int avoids = -1;             // the processor that it leaves to the thread whose job it is
    cpu_set_t home{}, given{};  // where it may run as others see it, and what is left of that
#endif
};

struct Pool {
    std::mutex busy;  // held by the thread whose job it is
    std::mutex mutex;
    std::condition_variable wake;
    // The job's number, the seats that workers may still take, and the workers inside, in one word: who comes late
    // finds no seat, and nobody can take a seat of one job and the tasks of another.
    std::atomic<std::uint64_t> job{0};
    static constexpr std::uint64_t SEAT = 1 << 16, INSIDE = SEAT - 1, NEXT = SEAT << 16;
    static constexpr std::uint64_t SEATS = NEXT - SEAT, NUMBER = -NEXT;
    alignas(64) std::atomic<std::int64_t> next{0};  // apart from what idle workers look at
    std::int64_t count = 0;
    Task task = nullptr;  // written only while no worker is inside
    void* context = nullptr;
    std::exception_ptr failure;
    std::vector<Worker> workers;

    void work() {
        for (std::int64_t i; (i = next.fetch_add(1)) < count;) try {
                task(context, i);
            } catch (...) {
                std::lock_guard lock(mutex);
                failure = std::current_exception();
            }
    }

    bool join() {
        std::uint64_t now = job.load();
        while (now & SEATS)
            if (job.compare_exchange_weak(now, now - SEAT + 1)) return true;
        return false;
    }

    void worker(std::uint64_t seen) {
        auto news = [&] { return (job.load() & NUMBER) != seen; };
        for (;;) {
            for (int turn = 0; turn < SPIN && !news(); ++turn) pause();
            if (!news()) {
                std::unique_lock lock(mutex);
                wake.wait(lock, news);
            }
            seen = job.load() & NUMBER;
            if (join()) {
                work();
                job.fetch_sub(1);
            }
        }
    }

    // Linux may wake a worker on the processor of the thread that wakes it while another one idles, if that other is a
    // virtual machine's and halted. The two would take turns for milliseconds; so workers are kept off that processor.
    void make_way([[maybe_unused]] int seats) {
#if defined(__linux__)
        const int here = sched_getcpu();
        for (int k = 0; k < seats; ++k) {
            Worker& worker = workers[k];
            cpu_set_t now;
            if (worker.avoids == here || pthread_getaffinity_np(worker.handle, sizeof now, &now)) continue;
            if (!CPU_EQUAL(&now, &worker.given)) worker.home = now;  // the user has moved it
            worker.avoids = here, worker.given = worker.home;
            CPU_CLR(here, &worker.given);
            if (CPU_COUNT(&worker.given) == 0) worker.given = worker.home;
            pthread_setaffinity_np(worker.handle, sizeof now, &worker.given);
        }
#endif
    }

    // With fewer workers where the system has no more threads to give
    void hire(int wanted) try {
        workers.reserve(wanted);
        while (int(workers.size()) < wanted) {
            std::thread worker(&Pool::worker, this, job.load() & NUMBER);
            workers.push_back({worker.native_handle()});
            worker.detach();
        }
    } catch (const std::exception&) {
    }

    void run(std::int64_t tasks, int threads, Task f, void* c, bool rouse) {
        hire(threads - 1);
        const int seats = std::min(threads - 1, int(workers.size()));
        task = f, context = c, count = tasks, next = 0;
        {
            std::lock_guard lock(mutex);
            job = (job & NUMBER) + NEXT + seats * SEAT;
        }
        if (rouse) {
            make_way(seats);
            for (int k = 0; k < seats; ++k) wake.notify_one();  // no more of them than can sit
        }
        work();
        job.fetch_and(~SEATS);
        for (int turn = 0; job.load() & INSIDE;)
            if (turn < SPIN)
                ++turn, pause();
            else
                std::this_thread::yield();
        if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
    }
};

// Never freed: workers outlive main. A forked child has no workers, so it starts with a pool of its own.
Pool* pool = new Pool;
std::atomic<int> threads{default_threads()};
thread_local int limit = MAX_THREADS;
[[maybe_unused]] const int at_fork = pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });

struct Scratch {
    void* data[slots] = {};
    std::size_t size[slots] = {};
    ~Scratch() {
        for (void* p : data) std::free(p);
    }
};

}  // namespace

void parallel_for(std::int64_t count, Task task, void* context, bool wake) {
    const int wanted = int(std::min<std::int64_t>(num_threads(), count));
    if (wanted > 1) {
        if (std::unique_lock lock(pool->busy, std::try_to_lock); lock) {
            return pool->run(count, wanted, task, context, wake);
        }
    }
    for (std::int64_t i = 0; i < count; ++i) task(context, i);
}

int num_threads() { return std::min<int>(threads, limit); }
void set_num_threads(int count) { threads = std::clamp(count, 1, MAX_THREADS); }

ThreadLimit::ThreadLimit(int most) : before(limit) {
    if (most > 0) limit = most;
}
ThreadLimit::~ThreadLimit() { limit = before; }

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
