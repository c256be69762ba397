// The kernel of one instruction set, SOFTXENT_ISA.
#include "passes/tiles.hpp"

#define SOFTXENT_TEXT_(x) #x
#define SOFTXENT_TEXT(x) SOFTXENT_TEXT_(x)

namespace softxent {
namespace SOFTXENT_ISA {

// f(a number of the type that rows are computed in)
template <class F>
auto in_type_of_rows(const Pass& pass, F f) {
    return pass.logits.dtype == DType::f64 ? f(double()) : f(float());
}

template <class P>
void run(const P& pass) {
    const Sum total = in_type_of_rows(pass, [&](auto number) {
        using R = decltype(number);
        return Tiles<R, P>::suit(pass) ? Tiles<R, P>::run(pass) : Rows<R, P>::run(pass);
    });
    if constexpr (is_cross_entropy<P>)
        if (pass.loss && pass.options.reduction != Reduction::none)
            set_number(pass.loss, 0, pass.divisor != 0 ? total.value() / pass.divisor : pass.empty);
}

template <class P>
const char* way(const P& pass) {
    return in_type_of_rows(pass, [&](auto number) {
        using OfType = Tiles<decltype(number), P>;
        return !OfType::suit(pass) ? "along rows" : OfType::in_strips(pass) ? "across rows, in strips" : "across rows";
    });
}

template <class P>
constexpr Run<P> both{run<P>, way<P>};

extern const Kernel kernel;
const Kernel kernel = {both<Softmax>, both<LogSoftmax>, both<LogSumExp>,          both<CrossEntropy>,
                       both<Sample>,  both<Statistics>, SOFTXENT_TEXT(SOFTXENT_ISA)};

}  // namespace SOFTXENT_ISA
}  // namespace softxent
