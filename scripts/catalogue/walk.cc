// Prints what DCMTK's reader reaches of a DICOMDIR: a line for each record with a file,
// Patient ID, Study and Series Instance UID above it, and its File ID, between tabs.

#include "dcmtk/config/osconfig.h"
#include "dcmtk/dcmdata/dctk.h"
#include "dcmtk/dcmdata/dcdicdir.h"

#include <cstdlib>
#include <iostream>
#include <string>

static std::string text(DcmItem &item, const DcmTagKey &tag, const std::string &otherwise)
{
  OFString value;
  if (item.findAndGetOFStringArray(tag, value).bad() || value.empty()) return otherwise;
  return value.c_str();
}

static void walk(DcmDirectoryRecord &above, const std::string &patient,
                 const std::string &study, const std::string &series)
{
  DcmDirectoryRecord *record = NULL;
  while ((record = above.nextSub(record)) != NULL)
  {
    const std::string own_patient = text(*record, DCM_PatientID, patient);
    const std::string own_study = text(*record, DCM_StudyInstanceUID, study);
    const std::string own_series = text(*record, DCM_SeriesInstanceUID, series);
    DcmDirectoryRecord *shared = record->getReferencedMRDR();
    const std::string lent = shared ? text(*shared, DCM_ReferencedFileID, "") : "";
    const std::string file = text(*record, DCM_ReferencedFileID, lent);
    if (!file.empty())
      std::cout << own_patient << '\t' << own_study << '\t' << own_series << '\t'
                << file << '\n';
    walk(*record, own_patient, own_study, own_series);
  }
}

int main(int, char **arguments)
{
  OFLog::configure(OFLogger::OFF_LOG_LEVEL);
  DcmDicomDir *directory = new DcmDicomDir(arguments[1]);
  walk(directory->getRootRecord(), "", "", "");
  std::cout.flush();
  // Its destructor would write a DICOMDIR that it takes for changed.
  std::_Exit(directory->error().good() ? 0 : 1);
}
