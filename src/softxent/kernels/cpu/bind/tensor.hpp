// Tensors read by the C functions that their type offers, __dlpack_c_exchange_api__: a tenth of a microsecond each.
//
// The structures are those of DLPack 1.3, dmlc.github.io/dlpack/latest/c_api.html, as far as they are used here.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include <cstdint>

namespace nb = nanobind;

namespace softxent {

struct DLDevice {
    enum : std::int32_t { CPU = 1 } type;
    std::int32_t id;
};

struct DLTensor {
    void* data;
    DLDevice device;
    std::int32_t ndim;
    enum : std::uint8_t { INT = 0, FLOAT = 2, BFLOAT = 4 } code;
    std::uint8_t bits;
    std::uint16_t lanes;
    std::int64_t *shape, *strides;
    std::uint64_t byte_offset;

    char format() const {  // as Buffer's, 0 for others
        if (lanes != 1) return 0;
        if (code == FLOAT) return bits == 32 ? 'f' : bits == 64 ? 'd' : bits == 16 ? 'e' : 0;
        return code == BFLOAT && bits == 16 ? 'H' : code == INT && bits == 64 ? 'q' : 0;
    }
};

using FromTensor = int (*)(void* object, DLTensor* out);  // 0, or −1 with Python's error set

struct DLPackExchangeAPI {
    std::uint32_t major, minor;
    DLPackExchangeAPI* older;  // of another major version
    void *allocator, *managed_from_object, *managed_to_object;
    FromTensor from_object;
    void* current_stream;
};

// The types whose objects are read so. Only these very types, for a subclass may hold no data of its own.
struct Tensors {
    static constexpr int MOST = 4;
    PyTypeObject* types[MOST] = {};
    FromTensor readers[MOST] = {};
    int count = 0;

    FromTensor reader_of(const PyTypeObject* type) const {
        for (int k = 0; k < count; ++k)
            if (type == types[k]) return readers[k];
        return nullptr;
    }

    // Whether objects of this type are read from now on: not if it has no such functions
    bool add(nb::type_object object) {
        auto* type = reinterpret_cast<PyTypeObject*>(object.ptr());
        if (reader_of(type)) return true;
        const nb::object capsule = nb::getattr(object, "__dlpack_c_exchange_api__", nb::none());
        if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) return false;
        auto* api = static_cast<DLPackExchangeAPI*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
        while (api && api->major != 1) api = api->older;
        if (!api || !api->from_object || count == MOST) return false;
        object.inc_ref(), types[count] = type;
        readers[count++] = api->from_object;
        return true;
    }
};

inline Tensors tensors;  // written while the GIL is held, as it is read

}  // namespace softxent
