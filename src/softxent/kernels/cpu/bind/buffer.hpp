// Python's buffers, and descriptions of memory, as a kernel's arrays.
#pragma once
#include <nanobind/nanobind.h>

#include <memory>

#include "kernel.hpp"

namespace nb = nanobind;

namespace softxent {

// An object with a buffer, such as NumPy's arrays, or a description of one: (address, format, shape, strides in elements)
class Buffer {
public:
    Buffer(nb::handle object, bool writable) {
        int flags = PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
        if (nb::isinstance<nb::tuple>(object))
            describe(nb::borrow<nb::tuple>(object));
        else if (PyObject_GetBuffer(object.ptr(), &view, flags)) throw nb::python_error();
    }
    Buffer(const Buffer&) = delete;
    ~Buffer() { PyBuffer_Release(&view); }

    template <class T>
    T* data() const {
        return static_cast<T*>(view.buf);
    }

    bool integers() const { return view.format[0] == 'q' || view.format[0] == 'l'; }

    DType dtype() const {
        switch (view.format[0]) {
            case 'f': return DType::f32;
            case 'd': return DType::f64;
            case 'e': return DType::f16;
            case 'H': return DType::bf16;  // by its bits
            default: throw nb::type_error("not a dtype of the kernel");
        }
    }

    // one number a row, side by side, or one for all
    Column column() const { return {data<char>(), dtype(), view.ndim > 0}; }

    Py_buffer view{};

private:
    Py_ssize_t shape[MAX_DIMS], strides[MAX_DIMS];

    void describe(nb::tuple object) {
        view.buf = reinterpret_cast<void*>(nb::cast<std::uintptr_t>(object[0]));
        view.format = const_cast<char*>(nb::borrow<nb::str>(object[1]).c_str());  // lives as long as the tuple
        const char code = view.format[0];
        view.itemsize = code == 'd' || code == 'q' ? 8 : code == 'f' ? 4 : 2;
        nb::tuple lengths = nb::borrow<nb::tuple>(object[2]), steps = nb::borrow<nb::tuple>(object[3]);
        view.ndim = static_cast<int>(lengths.size()), view.shape = shape, view.strides = strides;
        for (int d = 0; d < view.ndim; ++d) {
            shape[d] = nb::cast<Py_ssize_t>(lengths[d]);
            strides[d] = nb::cast<Py_ssize_t>(steps[d]) * view.itemsize;
        }
    }
};

// An optional array: None has no buffer
inline std::unique_ptr<Buffer> optional(nb::handle object, bool writable) {
    return object.is_none() ? nullptr : std::make_unique<Buffer>(object, writable);
}

inline Column column_of(const std::unique_ptr<Buffer>& buffer) { return buffer ? buffer->column() : Column{}; }

// The rows' dimensions of a pass: all but `axis`, neighbours merged where every array lies evenly over both
inline void lay_out(Pass& pass, int axis, std::initializer_list<std::pair<Array*, const Buffer*>> arrays) {
    const Py_buffer& shape = arrays.begin()->second->view;
    pass.classes = shape.shape[axis], pass.rows = 1, pass.dims = 0;
    for (auto [array, buffer] : arrays) {
        if (!buffer) continue;
        array->data = buffer->data<char>();
        array->dtype = buffer->dtype();
        array->class_stride = buffer->view.strides[axis] / buffer->view.itemsize;
    }
    for (int d = 0; d < shape.ndim; ++d) {
        const i64 size = shape.shape[d];
        if (d == axis) continue;
        pass.rows *= size;
        if (size == 1) continue;
        auto stride = [&](const Buffer* b) -> i64 { return b->view.strides[d] / b->view.itemsize; };
        bool merge = pass.dims > 0;
        for (auto [array, buffer] : arrays)
            if (buffer && merge) merge = array->stride[pass.dims - 1] == stride(buffer) * size;
        if (!merge) pass.shape[pass.dims++] = 1;
        pass.shape[pass.dims - 1] *= size;
        for (auto [array, buffer] : arrays)
            if (buffer) array->stride[pass.dims - 1] = stride(buffer);
    }
    if (pass.dims == 0) pass.shape[pass.dims++] = 1;
}

}  // namespace softxent
