// A pool of threads: tasks 0 … count − 1, each run once, by whichever thread is free.
#pragma once
#include <cstddef>
#include <cstdint>

namespace softxent {

using Task = void (*)(void* context, std::int64_t index);

// Returns when every task has run. Called while the pool is busy, or with one thread, it runs them all itself.
// `wake`: sleeping threads too, not only those that are awake. Throws what a task threw, after all have run.
void parallel_for(std::int64_t count, Task task, void* context, bool wake);

// f(0) … f(count − 1), likewise. F is a lambda of its own in each instruction set, so that none runs another's code.
template <class F>
inline void share_out(std::int64_t count, F f, bool wake = true) {
    parallel_for(count, [](void* context, std::int64_t k) { (*static_cast<F*>(context))(k); }, &f, wake);
}

constexpr int MAX_THREADS = 1024;
int num_threads();  // of the calling thread's jobs
void set_num_threads(int count);

// While it lives, the calling thread's jobs have no more than `most` threads; 0: as many as set_num_threads says.
class ThreadLimit {
public:
    explicit ThreadLimit(int most);
    ThreadLimit(const ThreadLimit&) = delete;
    ~ThreadLimit();

private:
    int before;
};

// Memory that the calling thread keeps for itself: contents undefined, 64-byte aligned, valid until its next use.
enum Slot { row_slot, strips_slot, tile_slot, sums_slot, slots };
void* scratch(Slot slot, std::size_t bytes);

}  // namespace softxent
