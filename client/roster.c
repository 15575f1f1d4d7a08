#include "roster.h"

#include <string.h>

#define BASE "sourcedId", "status", "dateLastModified"

const struct roster_spec roster_specs[ROSTER_FILES] = {
    [ROSTER_SESSIONS] = {"academicSessions", {BASE, "title", "type", "startDate", "endDate", "parentSourcedId", "schoolYear"}, "sourcedId title type startDate endDate "},
    [ROSTER_CLASSES] = {"classes",
                        {BASE, "title", "grades", "courseSourcedId", "classCode", "classType", "location", "schoolSourcedId", "termSourcedIds", "subjects", "subjectCodes",
                         "periods"},
                        "sourcedId title courseSourcedId schoolSourcedId termSourcedIds "},
    [ROSTER_COURSES] = {"courses", {BASE, "schoolYearSourcedId", "title", "courseCode", "grades", "orgSourcedId", "subjects", "subjectCodes"}, "sourcedId title "},
    [ROSTER_DEMOGRAPHICS] = {"demographics",
                             {BASE, "birthDate", "sex", "americanIndianOrAlaskaNative", "asian", "blackOrAfricanAmerican", "nativeHawaiianOrOtherPacificIslander", "white",
                              "demographicRaceTwoOrMoreRaces", "hispanicOrLatinoEthnicity", "countryOfBirthCode", "stateOfBirthAbbreviation", "cityOfBirth",
                              "publicSchoolResidenceStatus"},
                             "sourcedId "},
    [ROSTER_ENROLLMENTS] = {"enrollments",
                            {BASE, "classSourcedId", "schoolSourcedId", "userSourcedId", "role", "primary", "beginDate", "endDate"},
                            "sourcedId classSourcedId schoolSourcedId userSourcedId role "},
    [ROSTER_ORGS] = {"orgs", {BASE, "name", "type", "identifier", "parentSourcedId"}, "sourcedId name type "},
    [ROSTER_USERS] = {"users",
                      {BASE, "enabledUser", "orgSourcedIds", "role", "username", "userIds", "givenName", "familyName", "middleName", "identifier", "email", "sms", "phone",
                       "agentSourcedIds", "grades", "password"},
                      "sourcedId orgSourcedIds role "},
};

const char *const roster_absent[] = {"categories", "classResources", "courseResources", "lineItems", "resources", "results", NULL};

static int days_of(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[m - 1] + (m == 2 && ((y % 4 == 0 && y % 100 != 0) || y % 400 == 0));
}

bool roster_day(const char *day, int days, char out[11])
{
    char text[64];
    int y, m, d, n = 0;

    if (strlen(day) != 10 || strspn(day, "0123456789-") != 10 || sscanf(day, "%4d-%2d-%2d%n", &y, &m, &d, &n) != 3 || n != 10)
        return false;
    if (y < 1000 || m < 1 || m > 12 || d < 1 || d > days_of(y, m))
        return false;
    for (; days > 0; days--)
        if (++d > days_of(y, m)) {
            d = 1;
            y += m == 12;
            m = m % 12 + 1;
        }
    for (; days < 0; days++)
        if (--d == 0) {
            y -= m == 1;
            m = m == 1 ? 12 : m - 1;
            d = days_of(y, m);
        }
    if (y < 1000 || y > 9999)
        return false;
    (void)snprintf(text, sizeof text, "%04d-%02d-%02d", y, m, d);
    memcpy(out, text, 11);
    return true;
}
