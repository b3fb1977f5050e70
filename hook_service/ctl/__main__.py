"""`python -m hook_service.ctl`, for a checkout that is not installed."""

from hook_service.ctl.main import main

if __name__ == "__main__":
    main()
