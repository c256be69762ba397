// The kernel of one instruction set, SOFTXENT_ISA.
#include "passes/tiles.hpp"

#define SOFTXENT_TEXT_(x) #x
#define SOFTXENT_TEXT(x) SOFTXENT_TEXT_(x)

namespace softxent {
namespace SOFTXENT_ISA {

template <class R, class P>
Sum run_in(const P& pass) {
    return Tiles<R, P>::suit(pass) ? Tiles<R, P>::run(pass) : Rows<R, P>::run(pass);
}

template <class P>
void run(const P& pass) {
    const Sum total = pass.logits.dtype == DType::f64 ? run_in<double>(pass) : run_in<float>(pass);
    if constexpr (is_cross_entropy<P>)
        if (pass.loss && pass.options.reduction != Reduction::none)
            set_number(pass.loss, 0, pass.divisor > 0 ? total.value() / pass.divisor : pass.empty);
}

extern const Kernel kernel;
const Kernel kernel = {{run<Softmax>}, {run<LogSoftmax>}, {run<LogSumExp>}, {run<CrossEntropy>}, {run<Sample>},
                       {run<Statistics>}, SOFTXENT_TEXT(SOFTXENT_ISA)};

}  // namespace SOFTXENT_ISA
}  // namespace softxent
