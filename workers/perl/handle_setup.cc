#include "handle_setup.h"

#include <fcntl.h>

#include "guard.h"

namespace fivefold::perl {

namespace {

IO* io_of(std::size_t number) {
  GV* gv = number == 0 ? PL_stdingv : number == 1 ? gv_fetchpvs("STDOUT", GV_ADD, SVt_PVIO) : PL_stderrgv;
  return gv != nullptr && isGV_with_GP(gv) ? GvIO(gv) : nullptr;
}

// The file of a handle that is open and not tied.
PerlIO* file_of(IO* io) {
  if (io == nullptr || IoIFP(io) == nullptr || !PerlIOValid(IoIFP(io))) return nullptr;
  return IoIFP(io);
}

// One layer as binmode takes it: ":encoding(UTF-8)".
std::string word_of(PerlIOl* layer) {
  if (layer->tab == nullptr) return {};
  std::string word = std::string(":") + layer->tab->name;
  if (layer->tab->Getarg != nullptr) {
    PerlIOl* handle = layer;
    SV* argument = layer->tab->Getarg(aTHX_ & handle, nullptr, 0);
    if (argument != nullptr && SvOK(argument)) word.append("(").append(bytes_of(argument)).append(")");
    SvREFCNT_dec(argument);
  }
  return word;
}

}  // namespace

void HandleSetup::begin() {
  for (std::size_t i = 0; i < handles_.size(); ++i) {
    PerlIO* file = file_of(io_of(i));
    handles_[i] = {.top = file != nullptr ? *file : nullptr};
  }
}

void HandleSetup::add_layer(std::size_t number, const char* layer) {
  IO* io = io_of(number);
  if (PerlIO* file = file_of(io)) PerlIO_binmode(aTHX_ file, IoTYPE(io), O_BINARY, layer);
}

void HandleSetup::end() {
  for (std::size_t i = 0; i < handles_.size(); ++i) {
    One& one = handles_[i];
    IO* io = io_of(i);
    PerlIO* file = file_of(io);
    if (file == nullptr || one.top == nullptr) continue;
    one.flushes = (IoFLAGS(io) & IOf_FLUSH) != 0;
    IoFLAGS(io) &= static_cast<U8>(~IOf_FLUSH);
    std::vector<PerlIOl*> added;
    for (PerlIOl* layer = *file; layer != nullptr && layer != one.top; layer = layer->next) added.push_back(layer);
    if (!added.empty() && added.back()->next != one.top) continue;  // another file was opened under this name
    for (PerlIOl* layer : added) one.layers.insert(0, word_of(layer));
    if ((PerlIOBase(file)->flags & PERLIO_F_UTF8) != 0) one.layers += ":utf8";
    for (std::size_t left = added.size(); left > 0; --left) PerlIO_pop(aTHX_ file);
    PerlIOBase(file)->flags &= ~static_cast<U32>(PERLIO_F_UTF8);
  }
}

void HandleSetup::apply() const {
  for (std::size_t i = 0; i < handles_.size(); ++i) {
    const One& one = handles_[i];
    if (one.layers.empty() && !one.flushes) continue;
    IO* io = io_of(i);
    PerlIO* file = file_of(io);
    if (file == nullptr) continue;
    if (one.flushes) IoFLAGS(io) |= IOf_FLUSH;
    if (!one.layers.empty()) add_layer(i, one.layers.c_str());
  }
}

}  // namespace fivefold::perl
