#include <algorithm>
#include <set>

#include "lexicals.h"

namespace fivefold::perl {

namespace {

bool in_file(CV* cv, std::string_view path) {
  return cv != nullptr && SvTYPE(cv) == SVt_PVCV && !CvISXSUB(cv) && CvROOT(cv) != nullptr && CvFILE(cv) != nullptr &&
         path == CvFILE(cv);
}

// All subroutines with a name in `stash` and below it.
void collect(HV* stash, std::string_view path, std::set<HV*>& seen, std::vector<CV*>& found) {
  if (!seen.insert(stash).second) return;
  hv_iterinit(stash);
  while (HE* entry = hv_iternext(stash)) {
    SV* value = HeVAL(entry);
    if (SvROK(value) && SvTYPE(SvRV(value)) == SVt_PVCV) {
      if (CV* cv = reinterpret_cast<CV*>(SvRV(value)); in_file(cv, path)) found.push_back(cv);
      continue;
    }
    if (!isGV_with_GP(value)) continue;
    GV* gv = reinterpret_cast<GV*>(value);
    if (CV* cv = GvCV(gv); in_file(cv, path)) found.push_back(cv);
    STRLEN size = 0;
    const char* name = HePV(entry, size);
    if (std::string_view(name, size).ends_with("::") && GvHV(gv) != nullptr) collect(GvHV(gv), path, seen, found);
  }
}

bool is_variable(PADNAME* name) {
  if (name == nullptr || PadnamePV(name) == nullptr || PadnameLEN(name) < 2) return false;
  return strchr("$@%", PadnamePV(name)[0]) != nullptr && !PadnameIsOUR(name) && !PadnameIsSTATE(name);
}

SV* copy_of(SV* value) {
  switch (SvTYPE(value)) {
    case SVt_PVAV: {
      AV* list = reinterpret_cast<AV*>(value);
      if (av_count(list) == 0) return nullptr;
      AV* copy = newAV();
      for (SSize_t i = 0; i < static_cast<SSize_t>(av_count(list)); ++i) {
        SV** one = av_fetch(list, i, 0);
        av_push(copy, one != nullptr ? newSVsv(*one) : newSV(0));
      }
      return reinterpret_cast<SV*>(copy);
    }
    case SVt_PVHV: {
      HV* hash = reinterpret_cast<HV*>(value);
      return HvUSEDKEYS(hash) > 0 ? reinterpret_cast<SV*>(newHVhv(hash)) : nullptr;
    }
    case SVt_PVCV:
    case SVt_PVGV:
    case SVt_PVIO:
      return nullptr;
    default:
      return SvOK(value) ? newSVsv(value) : nullptr;
  }
}

void set_to(SV* value, SV* copy) {
  if (SvTYPE(copy) == SVt_PVAV) {
    AV* list = reinterpret_cast<AV*>(value);
    AV* from = reinterpret_cast<AV*>(copy);
    av_clear(list);
    for (SSize_t i = 0; i < static_cast<SSize_t>(av_count(from)); ++i) av_push(list, newSVsv(*av_fetch(from, i, 0)));
  } else if (SvTYPE(copy) == SVt_PVHV) {
    HV* hash = reinterpret_cast<HV*>(value);
    HV* from = reinterpret_cast<HV*>(copy);
    hv_clear(hash);
    hv_iterinit(from);
    while (HE* entry = hv_iternext(from)) (void)hv_store_ent(hash, hv_iterkeysv(entry), newSVsv(HeVAL(entry)), 0);
  } else {
    sv_setsv(value, copy);
  }
}

}  // namespace

Lexicals::~Lexicals() {
  for (Preset& preset : presets_) SvREFCNT_dec(preset.value);
}

void Lexicals::find(CV* top, std::string_view path, std::span<CV* const> more) {
  top_ = top;
  std::vector<CV*> subs(more.begin(), more.end());
  std::set<HV*> seen;
  collect(PL_defstash, path, seen, subs);
  // Those of `top` first, then those inside them: a variable may be handed on by a subroutine in between.
  std::vector<CV*> outers = {top};
  for (std::size_t i = 0; i < outers.size(); ++i) {
    for (CV* cv : subs) {
      if (cv == top || CvOUTSIDE(cv) != outers[i] || std::ranges::find(outers, cv) != outers.end()) continue;
      find_shared(cv, outers[i]);
      outers.push_back(cv);
    }
  }
  find_presets();
}

void Lexicals::find_shared(CV* inner, CV* outer) {
  PADNAMELIST* names = PadlistNAMES(CvPADLIST(inner));
  for (PADOFFSET slot = 1; slot <= static_cast<PADOFFSET>(PadnamelistMAX(names)); ++slot) {
    PADNAME* name = PadnamelistARRAY(names)[slot];
    if (!is_variable(name) || !PadnameOUTER(name)) continue;
    shared_.push_back({inner, outer, slot, PARENT_PAD_INDEX(name)});
  }
}

void Lexicals::find_presets() {
  PADNAMELIST* names = PadlistNAMES(CvPADLIST(top_));
  PAD* pad = PadlistARRAY(CvPADLIST(top_))[1];
  for (PADOFFSET slot = 1; slot <= static_cast<PADOFFSET>(PadnamelistMAX(names)); ++slot) {
    PADNAME* name = PadnamelistARRAY(names)[slot];
    SV* value = AvARRAY(pad)[slot];
    if (!is_variable(name) || PadnameOUTER(name) || value == nullptr) continue;
    if (SV* copy = copy_of(value)) presets_.push_back({slot, copy});
  }
}

void Lexicals::share() {
  for (const Shared& one : shared_) {
    SV* value = AvARRAY(PadlistARRAY(CvPADLIST(one.outer))[1])[one.outer_slot];
    if (value == nullptr) continue;
    // One pad for each depth of recursion that there has been.
    PADLIST* pads = CvPADLIST(one.inner);
    for (SSize_t depth = 1; depth <= PadlistMAX(pads); ++depth) {
      if (PadlistARRAY(pads)[depth] == nullptr) continue;
      SV** slot = &AvARRAY(PadlistARRAY(pads)[depth])[one.inner_slot];
      if (*slot == value) continue;
      SvREFCNT_inc_simple_void_NN(value);
      SV* before = *slot;
      *slot = value;
      SvREFCNT_dec(before);
    }
  }
}

void Lexicals::begin() {
  share();
  PAD* pad = presets_.empty() ? nullptr : PadlistARRAY(CvPADLIST(top_))[1];
  for (const Preset& preset : presets_) set_to(AvARRAY(pad)[preset.slot], preset.value);
}

}  // namespace fivefold::perl
