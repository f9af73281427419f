#include "environment.h"

namespace fivefold::perl {

namespace {

SV* put(HV* env, std::string_view name, std::string_view value) {
  SV* text = newSVpvn(value.data(), value.size());
  (void)hv_store(env, name.data(), static_cast<I32>(name.size()), text, 0);
  return text;
}

bool holds(SV* value, std::string_view text) {
  return (SvFLAGS(value) & (SVf_POK | SVf_ROK | SVf_UTF8)) == SVf_POK && SvCUR(value) == text.size() &&
         memcmp(SvPVX(value), text.data(), text.size()) == 0;
}

}  // namespace

void Environment::start() {
  original_ = environ;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view text = *one;
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string_view::npos) continue;
    base_.push_back({std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))});
    original_all_.push_back(*one);
  }
  original_all_.push_back(nullptr);
}

// Requests mostly have the same variables in the same order: their values are set, and the hash stays as it is. true
// when that was so, and the script had left the hash alone: then its values are held by the hash and here, and by
// nobody else.
bool Environment::refill(HV* env, const worker::Request& request) {
  const auto variables = request.variables();
  const std::size_t count = base_.size() + variables.size();
  if (slots_.size() != count || HvUSEDKEYS(env) != count) return false;
  for (std::size_t i = 0; i < count; ++i) {
    const Slot& slot = slots_[i];
    if (SvREFCNT(slot.value) != 2 || (i >= base_.size() && slot.name != variables[i - base_.size()].name)) return false;
  }
  for (std::size_t i = 0; i < count; ++i) {
    SV* value = slots_[i].value;
    const std::string_view text = i < base_.size() ? base_[i].value : variables[i - base_.size()].value;
    if (holds(value, text)) continue;
    sv_setpvn(value, text.data(), text.size());
    SvUTF8_off(value);
  }
  return true;
}

// The hash has the magic that makes an assignment by a script a setenv(); while it is filled here, the magic is off.
void Environment::fill(const worker::Request& request) {
  HV* env = GvHVn(PL_envgv);
  if (refill(env, request)) return;
  for (Slot& slot : slots_) SvREFCNT_dec(slot.value);
  slots_.clear();
  const U32 magic = SvFLAGS(env) & (SVs_GMG | SVs_SMG | SVs_RMG);
  SvMAGICAL_off(env);
  hv_clear(env);
  const auto add = [this, env](std::string_view name, std::string_view value) {
    SV* text = put(env, name, value);
    slots_.push_back({std::string(name), SvREFCNT_inc(text)});
  };
  for (const Variable& one : base_) add(one.name, one.value);
  for (const worker::Variable& one : request.variables()) add(one.name, one.value);
  SvFLAGS(env) |= magic;
}

void Environment::restore() {
  if (environ == original_ && memcmp(environ, original_all_.data(), original_all_.size() * sizeof(char*)) == 0) return;
  environ = original_;
  memcpy(environ, original_all_.data(), original_all_.size() * sizeof(char*));
}

void Environment::become_real() {
  HV* env = GvHV(PL_envgv);
  if (env == nullptr) return;
  auto* all = new std::vector<char*>;  // as long as the process
  hv_iterinit(env);
  while (HE* entry = hv_iternext(env)) {
    STRLEN name_size = 0;
    const char* name = HePV(entry, name_size);
    SV* value = HeVAL(entry);
    if (!SvOK(value)) continue;
    STRLEN size = 0;
    const char* text = SvPV_nomg_const(value, size);
    auto* line = new std::string(name, name_size);
    line->append("=").append(text, size);
    all->push_back(line->data());
  }
  all->push_back(nullptr);
  environ = all->data();
}

}  // namespace fivefold::perl
