"""URLs for people, keys and organizations."""

from django.urls import path

from aiinfra.tenants.views import audit, invitations, keys, members, organization, security_log, session, staff

urlpatterns = [
    path("", session.home, name="home"),
    path("organizations/switch/", session.switch_organization, name="switch_organization"),
    path("invitation/", invitations.accept_invitation, name="invitation_accept"),
    path("invitations/<slug:token>/", invitations.invitation, name="invitation"),
    path("settings/members/", members.member_list, name="members"),
    path("settings/members/invite/", members.invite, name="member_invite"),
    path("settings/members/<int:membership_id>/role/", members.change_role, name="member_role"),
    path("settings/members/<int:membership_id>/remove/", members.remove, name="member_remove"),
    path("settings/invitations/<int:invitation_id>/withdraw/", members.withdraw_invitation, name="invitation_withdraw"),
    path("settings/keys/", keys.key_list, name="keys"),
    path("settings/keys/create/", keys.create, name="key_create"),
    path("settings/keys/<slug:key_id>/rotate/", keys.rotate, name="key_rotate"),
    path("settings/keys/<slug:key_id>/limits/", keys.limits, name="key_limits"),
    path("settings/keys/<slug:key_id>/revoke/", keys.revoke, name="key_revoke"),
    path("settings/organization/", organization.organization, name="organization"),
    path("audit/", audit.audit_log, name="audit"),
    path("installation/staff/", staff.staff, name="staff"),
    path("installation/security-log/", security_log.security_log, name="security_log"),
    path("installation/security-log/export/", security_log.security_log_export, name="security_log_export"),
]
