// The kernel of one instruction set, SOFTXENT_ISA.
#include "tile.hpp"

#define SOFTXENT_TEXT_(x) #x
#define SOFTXENT_TEXT(x) SOFTXENT_TEXT_(x)

namespace softxent {
namespace SOFTXENT_ISA {

template <class R>
i64 tasks(const Job& job) {
    return Tiles<R>::suit(job) ? Tiles<R>::tasks(job) : Rows<R>::tasks(job);
}
template <class R>
void run(const Job& job) {
    Tiles<R>::suit(job) ? Tiles<R>::run(job) : Rows<R>::run(job);
}

extern const Kernel kernel;
const Kernel kernel = {
    SOFTXENT_TEXT(SOFTXENT_ISA),
    [](const Job& job) { return job.logits.dtype == DType::f64 ? tasks<double>(job) : tasks<float>(job); },
    [](const Job& job) { job.logits.dtype == DType::f64 ? run<double>(job) : run<float>(job); },
};

}  // namespace SOFTXENT_ISA
}  // namespace softxent
