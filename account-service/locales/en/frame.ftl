# Around every page.
frame-skip = Skip to content
frame-account = Your account
frame-homes = Homes
frame-apps = Apps
frame-activity = Activity
frame-plan = Usage
frame-security = Security
frame-sign-out = Sign out
frame-promise = MA Cloud carries commands between your voice assistant and your home, sealed on the way. It keeps no copy of your music, your players or what you play.
frame-privacy = Privacy
frame-terms = Terms
