// Arrays as Python hands them over: objects with a buffer, tensors, and descriptions of memory.
#pragma once
#include <nanobind/nanobind.h>

#include <string>
#include <string_view>

#include "bind/tensor.hpp"
#include "kernel.hpp"

namespace nb = nanobind;

namespace softxent {

// An object with a buffer, such as NumPy's arrays; a tensor, if read_tensors was told of its type; or a description
// of memory: (address, format, shape, strides in elements). None has no data. The array must outlive this.
class Buffer {
public:
    const char* name;  // of the argument, in errors
    char* data = nullptr;
    char format = 0;  // as in Python's struct; 'H' is bfloat16, by its bits
    int ndim = 0;
    i64 shape[MAX_DIMS], stride[MAX_DIMS];  // in elements; not initialised: a kilobyte that a small call would feel

    Buffer(nb::handle object, const char* name, bool writable = false) : name(name) {
        if (object.is_none()) return;
        if (const FromTensor from = tensors.reader_of(Py_TYPE(object.ptr())))
            read_tensor(object, from);
        else if (nb::isinstance<nb::tuple>(object))
            read_description(nb::borrow<nb::tuple>(object));
        else
            read_buffer(object, writable);
        require(std::string_view("fdeHq").find(format) != std::string_view::npos, "has not a dtype of the kernel");
        bool empty = false;
        for (int d = 0; d < ndim; ++d) empty |= shape[d] == 0;
        require(data || empty, "has no memory");
    }
    Buffer(const Buffer&) = delete;
    ~Buffer() {
        if (held.obj) PyBuffer_Release(&held);
    }

    explicit operator bool() const { return format != 0; }  // not None

    bool integers() const { return format == 'q'; }

    DType dtype() const {
        require(!integers(), "is of integers, but must be of floats");
        return format == 'f' ? DType::f32 : format == 'd' ? DType::f64 : format == 'e' ? DType::f16 : DType::bf16;
    }

    // The array as a single axis of `size`: how far apart its elements lie. 0 for a single number.
    i64 evenly(i64 size) const {
        i64 apart = 0, count = 1;
        for (int d = ndim; d-- > 0;) {
            if (shape[d] != 1) {
                if (count == 1) apart = stride[d];
                require(stride[d] == apart * count || size == 0, "does not lie evenly in memory");
            }
            count *= shape[d];
        }
        require(count == size || ndim == 0, "has not the size that the logits' shape asks for");
        return apart;
    }

    // side by side
    template <class T>
    T* elements(i64 size, char of) const {
        require(format == of, "has not the dtype that the logits' asks for");
        require(size <= 1 || (ndim > 0 && evenly(size) == 1), "does not lie side by side in memory");
        evenly(size);
        return reinterpret_cast<T*>(data);
    }

    // one number a row, or one for all
    Column column(i64 rows) const {
        if (!*this) return {};
        return {data, dtype(), evenly(rows)};
    }

    void require(bool holds, const char* what) const {
        if (!holds) throw nb::value_error((std::string(name) + " " + what).c_str());
    }

private:
    Py_buffer held{};

    void set_dims(i64 count) {
        require(count <= MAX_DIMS, ("has " + std::to_string(count) + " dimensions, but must have 64 at most").c_str());
        ndim = static_cast<int>(count);
    }

    void read_buffer(nb::handle object, bool writable) {
        const int flags = PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(object.ptr(), &held, flags)) throw nb::python_error();
        if (held.format[1] == 0) format = held.format[0] == 'l' && held.itemsize == 8 ? 'q' : held.format[0];
        data = static_cast<char*>(held.buf);
        set_dims(held.ndim);
        for (int d = 0; d < ndim; ++d) shape[d] = held.shape[d], stride[d] = held.strides[d] / held.itemsize;
    }

    void read_description(nb::tuple object) {
        require(object.size() == 4, "is a tuple, but not (address, format, shape, strides)");
        data = reinterpret_cast<char*>(nb::cast<std::uintptr_t>(object[0]));
        const auto code = nb::cast<std::string_view>(object[1]);
        if (code.size() == 1) format = code[0];
        nb::tuple lengths = nb::cast<nb::tuple>(object[2]), steps = nb::cast<nb::tuple>(object[3]);
        set_dims(lengths.size());
        require(steps.size() == lengths.size(), "has not as many strides as dimensions");
        for (int d = 0; d < ndim; ++d) shape[d] = nb::cast<i64>(lengths[d]), stride[d] = nb::cast<i64>(steps[d]);
    }

    void read_tensor(nb::handle object, FromTensor from) {
        DLTensor tensor;
        if (from(object.ptr(), &tensor)) throw nb::python_error();
        require(tensor.device.type == DLDevice::CPU, "is not on the CPU");
        format = tensor.format();
        data = static_cast<char*>(tensor.data);
        if (data) data += tensor.byte_offset;
        set_dims(tensor.ndim);
        i64 apart = 1;
        for (int d = ndim; d-- > 0; apart *= shape[d]) {
            shape[d] = tensor.shape[d];
            stride[d] = tensor.strides ? tensor.strides[d] : apart;  // none: side by side
        }
    }
};

}  // namespace softxent
