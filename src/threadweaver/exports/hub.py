"""Push a folder to the hub as a dataset: private unless asked otherwise, in one commit."""

from __future__ import annotations

from pathlib import Path

from threadweaver.errors import UserError


def push(folder: Path, repo: str, *, public: bool) -> str:
    """Upload the folder as the dataset `repo` and return its address.

    Raises UserError without a token, for a name or a repository that cannot be used, and when the hub refuses.
    """
    import httpx2
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    token = get_token()
    if not token:
        raise UserError("no token for the hub: set HF_TOKEN, or log in with `hf auth login`; the bundle is written")
    api = HfApi(token=token, library_name="threadweaver")
    try:
        address = api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        if not public and not api.repo_info(repo, repo_type="dataset").private:
            raise UserError(f"the dataset {repo} exists and is public: name another --repo, or allow it with --public")
        message = f"Dataset and recipe ({folder.name})"
        api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            repo_type="dataset",
            commit_message=message,
            ignore_patterns=["export.json"],
        )
    except HFValidationError:
        raise UserError(f"{repo} is not a name for a dataset: give user/name with --repo") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        raise UserError(f"the hub refused {repo} ({status}): check the token's rights and the name") from None
    except (httpx2.HTTPError, OfflineModeIsEnabled) as error:
        raise UserError(
            f"the hub cannot be reached ({type(error).__name__}): try again, the bundle is written"
        ) from None
    return str(address)
